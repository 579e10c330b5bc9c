"""The batch lock with a real Spark: a query is stopped while a job of its batch runs."""

import json
import os
import subprocess
import sys

from tapeline_local import paths
from tapeline_local.setup.jvm import Jvm

# A process of its own: a JVM that Spark has started stays for as long as the process that asked for it.
PROGRAM = """
import contextlib, json, threading, time
from pyspark.sql import SparkSession
from tapeline_spark.batch_lock import BatchLock

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()

def stop_while_a_job_runs(is_locked):
    lock, begun, outcome = BatchLock(), threading.Event(), []

    def work(batch, number):
        begun.set()
        try:
            batch.sparkSession.range(200_000_000).selectExpr("sum(id * id % 7)").collect()
            outcome.append("done")
        except Exception as error:
            outcome.append(type(error).__name__)

    query = spark.readStream.format("rate").load().writeStream.foreachBatch(lock.wrap(work)).start()
    assert begun.wait(60)
    deadline = time.monotonic() + 60
    while not spark.sparkContext.statusTracker().getActiveJobsIds() and time.monotonic() < deadline:
        time.sleep(0.01)
    with lock.stop(240) if is_locked else contextlib.nullcontext():
        query.stop()
    return outcome

print(json.dumps({"locked": stop_while_a_job_runs(True), "unlocked": stop_while_a_job_runs(False)}))
spark.stop()
"""


def test_query_stops_after_the_running_batch_and_without_the_lock_its_jobs_are_cancelled():
    environment = os.environ | {"JAVA_HOME": Jvm.load(paths.JVM_FILE).launch_home, "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=400)
    assert json.loads(done.stdout.splitlines()[-1]) == {"locked": ["done"], "unlocked": ["Py4JJavaError"]}
