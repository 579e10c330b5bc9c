"""The stream's session as Spark on Kubernetes begins it: through the image's entry point, with a real JVM."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tapeline_local import paths
from tapeline_local.setup import jvm

# What a submission writes into the pod; a master of this machine stands for the cluster's.
PROPERTIES = """
spark.master=local[1]
spark.app.name=as-submitted
spark.submit.deployMode=cluster
spark.driver.memory=512m
spark.driver.extraClassPath={jars}/*
spark.sql.shuffle.partitions=5
"""
APPLICATION = """
import json, signal, sys, threading
from pathlib import Path
from tapeline.service.signals import set_by_signals
from tapeline_spark.session import start_session
from tapeline_spark.settings import Settings

stopped = threading.Event()
set_by_signals(stopped, signal.SIGTERM)
settings = Settings(
    kafka_bootstrap="localhost:1", elasticsearch_url="http://localhost:1", inference_url="http://localhost:1",
    checkpoint=Path("none"), jars=Path("none"),
)
session = start_session(settings, submitted=True)
names = (
    "spark.master", "spark.app.name", "spark.sql.shuffle.partitions", "spark.ui.enabled", "spark.driver.bindAddress"
)
session._jvm.java.lang.Class.forName("org.apache.spark.sql.kafka010.KafkaSourceProvider")
print(json.dumps({name: session.sparkContext.getConf().get(name) for name in names}), flush=True)
stopped.wait(60)
session.stop()
print("ended in order", flush=True)
sys.exit(3)
"""


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    application, properties = tmp_path / "application.py", tmp_path / "spark.properties"
    application.write_text(APPLICATION)
    properties.write_text(PROPERTIES.format(jars=paths.JARS / "spark"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))},
        "JAVA_HOME": jvm.Jvm.load(paths.JVM_FILE).launch_home,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_DIRS": str(tmp_path / "local"),
        "SPARK_DRIVER_BIND_ADDRESS": "127.0.0.1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    arguments = ["driver", "--properties-file", str(properties), "--class", "org.apache.spark.deploy.PythonRunner"]
    command = [sys.executable, "-m", "tapeline_spark.kubernetes.entrypoint", *arguments, f"local://{application}"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_what_spark_submit_chose_stands_and_sigterm_ends_it_in_order(driver):
    assert driver.stdout
    line = driver.stdout.readline()
    driver.send_signal(signal.SIGTERM)
    out, _ = driver.communicate(timeout=60)
    assert json.loads(line) == {
        "spark.master": "local[1]",
        "spark.app.name": "as-submitted",
        "spark.sql.shuffle.partitions": "5",
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    assert (driver.returncode, out) == (3, "ended in order\n")
