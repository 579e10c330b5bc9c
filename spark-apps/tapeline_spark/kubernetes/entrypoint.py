"""Entry point of the image: runs `driver`, `executor`, or any other command.

Spark on Kubernetes starts its containers with these two words and leaves the rest to the image; the PySpark
wheel has no entry point. Apache's entry point starts spark-submit, a JVM, which starts Python: SIGTERM then stops
the JVM, and Python does not receive it. Here Python runs first, as on one machine, and starts its JVM with the
options from Kubernetes: SIGTERM reaches the stream, which stops its queries and releases its executors.
Every path ends in exec. tini is PID 1, since an executor's JVM does not reap workers that it did not start.
Source: Spark 4.2, resource-managers/kubernetes/docker/src/main/dockerfiles/spark/entrypoint.sh
"""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence

from pydantic import ValidationError

from tapeline_spark.kubernetes.settings import DriverSettings, ExecutorSettings, inherited, java_options

_BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
_PYTHON_RUNNER = "org.apache.spark.deploy.PythonRunner"


def driver_command(arguments: Sequence[str], pod_address: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of the application, and the environment variable from which PySpark starts its JVM.

    Args:
        arguments: as Spark's submission passes them: options, the application, its arguments.
        pod_address: address the driver listens on; executors in other pods must reach it.

    Raises:
        SystemExit: the arguments are not those of a Python application in this image.
    """
    parser = argparse.ArgumentParser(prog="driver", allow_abbrev=False)
    parser.add_argument("--properties-file", required=True)
    parser.add_argument("--class", dest="runner", choices=(_PYTHON_RUNNER,), default=_PYTHON_RUNNER)
    parser.add_argument("application")
    parser.add_argument("own", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments)
    file = parsed.application.removeprefix("local://")
    if not file.startswith("/"):
        parser.error(f"the application was {parsed.application}; it must lie in the image: local:///app/stream.py")
    submit = [
        *("--properties-file", parsed.properties_file),
        # The properties say `cluster`, since Kubernetes created this pod; inside it the driver runs in this process.
        *("--deploy-mode", "client"),
        *("--conf", f"spark.driver.bindAddress={pod_address}"),
        *("--conf", f"spark.executorEnv.SPARK_DRIVER_POD_IP={pod_address}"),
        # Spark enables the progress bar in a shell, and takes this process for one.
        *("--conf", "spark.ui.showConsoleProgress=false"),
        "pyspark-shell",
    ]
    return [sys.executable, file, *parsed.own], {"PYSPARK_SUBMIT_ARGS": shlex.join(submit)}


def executor_command(settings: ExecutorSettings, options: Sequence[str]) -> list[str]:
    """Return the JVM command of an executor; the JVM starts its Python workers."""
    classpath = [settings.conf_dir, settings.classpath, f"{settings.home}/jars/*"]
    return [
        f"{settings.java_home}/bin/java",
        *options,
        f"-Xms{settings.executor_memory}",
        f"-Xmx{settings.executor_memory}",
        *("-cp", ":".join(part for part in classpath if part)),
        _BACKEND,
        *("--driver-url", settings.driver_url),
        *("--executor-id", settings.executor_id),
        *("--cores", settings.executor_cores),
        *("--app-id", settings.application_id),
        *("--hostname", settings.executor_pod_ip),
        *("--resourceProfileId", settings.resource_profile_id),
        *("--podName", settings.executor_pod_name),
    ]


def main(arguments: Sequence[str]) -> int:
    """Execute the command of the first word; returns only on an error."""
    if not arguments:
        sys.stderr.write("tapeline_spark.kubernetes.entrypoint: say `driver ARGUMENTS`, `executor`, or a command\n")
        return 2
    word, *rest = arguments
    command, more = list(arguments), dict[str, str]()
    if word in ("driver", "executor"):
        try:
            if word == "driver":
                command, more = driver_command(rest, DriverSettings().driver_bind_address)  # type: ignore[call-arg]
            else:
                command = executor_command(ExecutorSettings(), java_options())  # type: ignore[call-arg]
        except ValidationError as error:
            names = [str(each["loc"][0]) for each in error.errors()]
            missing = ", ".join(name if name.isupper() else f"SPARK_{name.upper()}" for name in names)
            sys.stderr.write(
                f"tapeline_spark.kubernetes.entrypoint: {missing} not set, and Spark sets it in the pod of a {word}\n"
            )
            return 2
        # Spark writes into its working folder, and only the temporary folder of this image is writable.
        os.chdir(tempfile.gettempdir())
    try:
        os.execvpe(command[0], command, inherited() | more)
    except OSError as error:
        sys.stderr.write(f"tapeline_spark.kubernetes.entrypoint: {command[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
