"""The entry point of the Spark image as a real process, with a Java that only says how it was called."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

JAVA = '#!/bin/sh\necho "cwd $(pwd)"\nfor argument; do echo "$argument"; done\n'
APPLICATION = """
import json, os, signal, sys, threading
signalled = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: signalled.set())
output = {"arguments": sys.argv[1:], "submit": os.environ["PYSPARK_SUBMIT_ARGS"], "cwd": os.getcwd()}
print(json.dumps(output), flush=True)
if "--wait" in sys.argv:
    signalled.wait(30)
    print("signalled", flush=True)
sys.exit(7)
"""
DRIVER = ["driver", "--properties-file", "/opt/spark/conf/spark.properties"]
RUNNER = ["--class", "org.apache.spark.deploy.PythonRunner"]


@pytest.fixture
def pod(tmp_path: Path) -> dict[str, str]:
    """The environment of an executor's pod as Spark makes it."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(JAVA)
    java.chmod(0o755)
    return {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
        "JAVA_HOME": str(tmp_path / "java"),
        "SPARK_HOME": "/spark",
        "SPARK_CONF_DIR": "/opt/spark/conf",
        "SPARK_DRIVER_BIND_ADDRESS": "10.1.2.3",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078",
        "SPARK_EXECUTOR_ID": "3",
        "SPARK_EXECUTOR_CORES": "2",
        "SPARK_EXECUTOR_MEMORY": "768m",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_EXECUTOR_POD_IP": "10.1.2.4",
        "SPARK_EXECUTOR_POD_NAME": "executor-3",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        **{f"SPARK_JAVA_OPT_{number}": f"-Dn={number}" for number in range(11)},
    }


@pytest.fixture
def application(tmp_path: Path) -> Path:
    file = tmp_path / "application.py"
    file.write_text(APPLICATION)
    return file


def start(pod: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tapeline_spark.kubernetes.entrypoint", *arguments]
    return subprocess.Popen(command, env=pod, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(pod: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = start(pod, *arguments)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_an_executor_becomes_the_jvm_that_spark_asked_for(pod, tmp_path):
    code, out, err = run(pod, "executor")
    assert code == 0, err
    cwd, *words = out.splitlines()
    assert cwd == f"cwd {tmp_path}"
    backend = words.index("org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend")
    assert words[: backend - 2] == [*(f"-Dn={number}" for number in range(11)), "-Xms768m", "-Xmx768m"]
    assert words[backend - 2 : backend] == ["-cp", "/opt/spark/conf:/spark/jars/*"]
    assert dict(zip(words[backend + 1 :: 2], words[backend + 2 :: 2], strict=True)) == {
        "--driver-url": "spark://CoarseGrainedScheduler@driver:7078",
        "--executor-id": "3",
        "--cores": "2",
        "--app-id": "spark-1",
        "--hostname": "10.1.2.4",
        "--resourceProfileId": "0",
        "--podName": "executor-3",
    }


def test_a_driver_is_the_application_itself_and_its_jvm_gets_what_kubernetes_said(pod, application, tmp_path):
    code, out, err = run(pod, *DRIVER, *RUNNER, f"local://{application}", "--of", "its own")
    assert code == 7, err
    output = json.loads(out)
    assert output["arguments"] == ["--of", "its own"]
    assert output["cwd"] == str(tmp_path)
    submit = shlex.split(output["submit"])
    assert submit[:4] == ["--properties-file", "/opt/spark/conf/spark.properties", "--deploy-mode", "client"]
    assert {"spark.driver.bindAddress=10.1.2.3", "spark.ui.showConsoleProgress=false"} <= set(submit)
    assert submit[-1] == "pyspark-shell"


def test_sigterm_reaches_the_application(pod, application):
    process = start(pod, *DRIVER, str(application), "--wait")
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (7, "signalled\n")


def test_any_other_word_is_a_command(pod):
    code, out, _ = run(pod, sys.executable, "-c", "print('as requested')")
    assert (code, out) == (0, "as requested\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say `driver ARGUMENTS`, `executor`, or a command"),
        (["no-such-program"], "no-such-program: No such file"),
        ([*DRIVER, "s3://bucket/app.py"], "it must lie in the image"),
        ([*DRIVER, "--class", "org.example.Main", "local:///app.jar"], "invalid choice"),
        (["driver", "local:///app.py"], "--properties-file"),
    ],
)
def test_what_it_cannot_start_is_refused_with_the_reason(pod, arguments, reason):
    code, _, err = run(pod, *arguments)
    assert code != 0
    assert reason in err


def test_an_executor_outside_of_a_pod_is_refused_with_what_is_missing(pod):
    del pod["SPARK_DRIVER_URL"], pod["JAVA_HOME"]
    code, _, err = run(pod, "executor")
    assert code == 2
    assert "SPARK_DRIVER_URL, JAVA_HOME not set" in err


def test_the_application_that_the_operator_names_begins_the_stream_as_a_submitted_one():
    """Read, not run: it would start Spark."""
    text = (Path(__file__).resolve().parents[4] / "spark-apps" / "stream.py").read_text()
    assert "main(submitted=True)" in text
