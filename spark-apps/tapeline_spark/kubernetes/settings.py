"""What Spark on Kubernetes tells a container by its environment; read here and nowhere else.

Source: Spark 4.2, BasicDriverFeatureStep and BasicExecutorFeatureStep.
"""

import os
import re

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_JAVA_OPTION = re.compile(r"SPARK_JAVA_OPT_(\d+)")


class DriverSettings(BaseSettings):
    """What a driver is told; the rest stands in its properties file."""

    model_config = SettingsConfigDict(env_prefix="SPARK_", frozen=True)

    driver_bind_address: str
    """Address of the pod."""


class ExecutorSettings(BaseSettings):
    """What an executor is told."""

    model_config = SettingsConfigDict(env_prefix="SPARK_", frozen=True)

    driver_url: str
    """Where the driver listens, `spark://CoarseGrainedScheduler@host:port`."""
    executor_id: str
    executor_cores: str
    """Tasks at one time."""
    executor_memory: str
    """Heap, in Java's notation."""
    application_id: str
    executor_pod_ip: str
    executor_pod_name: str
    resource_profile_id: str = "0"
    classpath: str = ""
    """What spark.executor.extraClassPath says."""
    conf_dir: str = ""
    """Folder with the application's log4j2.properties and such, if it has any."""
    home: str
    """SPARK_HOME of the image."""
    java_home: str = Field(validation_alias="JAVA_HOME")


def java_options() -> list[str]:
    """Return the options of an executor's JVM in their order; each has a variable of its own."""
    numbered = ((_JAVA_OPTION.fullmatch(name), value) for name, value in os.environ.items())
    return [value for _, value in sorted((int(found[1]), value) for found, value in numbered if found)]


def inherited() -> dict[str, str]:
    """Return the environment of this process, to be handed on."""
    return dict(os.environ)
