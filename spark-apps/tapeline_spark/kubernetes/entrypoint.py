"""What the image does with the word it is started with: `driver`, `executor`, or any other command.

Spark on Kubernetes starts its containers with these two words and leaves the rest to the image; the PySpark
wheel brings no entry point. Apache's own starts spark-submit, a JVM, which starts Python: SIGTERM then stops
the JVM under a Python that never hears of it. Here Python comes first, as on one machine, and starts its JVM
with what Kubernetes said: SIGTERM reaches the stream, which stops its query and gives back its executors.
Every way ends in exec. tini is in front of it: an executor's JVM does not bury the workers it did not start.
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
    """Return what runs the application, and the variable that PySpark makes its JVM from.

    Args:
        arguments: as Spark's submission writes them: options, the application, its own arguments.
        pod_address: the driver listens there; executors of other pods must reach it.

    Raises:
        SystemExit: they are not those of a Python application in this image.
    """
    parser = argparse.ArgumentParser(prog="driver", allow_abbrev=False)
    parser.add_argument("--properties-file", required=True)
    parser.add_argument("--class", dest="runner", choices=(_PYTHON_RUNNER,), default=_PYTHON_RUNNER)
    parser.add_argument("application")
    parser.add_argument("own", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    file = given.application.removeprefix("local://")
    if not file.startswith("/"):
        parser.error(f"the application was {given.application}; it must lie in the image: local:///app/stream.py")
    submit = [
        *("--properties-file", given.properties_file),
        # The properties say `cluster`, which is how this pod came to be; within it the driver is here.
        *("--deploy-mode", "client"),
        *("--conf", f"spark.driver.bindAddress={pod_address}"),
        *("--conf", f"spark.executorEnv.SPARK_DRIVER_POD_IP={pod_address}"),
        # On by itself in what Spark takes for a shell; a bar that moves is no log.
        *("--conf", "spark.ui.showConsoleProgress=false"),
        "pyspark-shell",
    ]
    return [sys.executable, file, *given.own], {"PYSPARK_SUBMIT_ARGS": shlex.join(submit)}


def executor_command(told: ExecutorSettings, options: Sequence[str]) -> list[str]:
    """Return the JVM of an executor; it starts its Python workers itself."""
    classpath = [told.conf_dir, told.classpath, f"{told.home}/jars/*"]
    return [
        f"{told.java_home}/bin/java",
        *options,
        f"-Xms{told.executor_memory}",
        f"-Xmx{told.executor_memory}",
        *("-cp", ":".join(part for part in classpath if part)),
        _BACKEND,
        *("--driver-url", told.driver_url),
        *("--executor-id", told.executor_id),
        *("--cores", told.executor_cores),
        *("--app-id", told.application_id),
        *("--hostname", told.executor_pod_ip),
        *("--resourceProfileId", told.resource_profile_id),
        *("--podName", told.executor_pod_name),
    ]


def main(arguments: Sequence[str]) -> int:
    """Become what the first word says; returns only where that cannot be."""
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
        # Spark writes into its working folder, and of this image only the temporary one can be written to.
        os.chdir(tempfile.gettempdir())
    try:
        os.execvpe(command[0], command, inherited() | more)
    except OSError as error:
        sys.stderr.write(f"tapeline_spark.kubernetes.entrypoint: {command[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
