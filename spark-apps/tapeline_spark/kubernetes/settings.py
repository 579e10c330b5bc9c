"""Settings that Spark on Kubernetes passes to a container through its environment.

Source: Spark 4.2, BasicDriverFeatureStep and BasicExecutorFeatureStep.
"""

import os
import re

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_JAVA_OPTION = re.compile(r"SPARK_JAVA_OPT_(\d+)")


class DriverSettings(BaseSettings):
    """Settings of a driver; the rest is in its properties file."""

    model_config = SettingsConfigDict(env_prefix="SPARK_", frozen=True)

    driver_bind_address: str
    """Address of the pod."""


class ExecutorSettings(BaseSettings):
    """Settings of an executor."""

    model_config = SettingsConfigDict(env_prefix="SPARK_", frozen=True)

    driver_url: str
    """Address of the driver, `spark://CoarseGrainedScheduler@host:port`."""
    executor_id: str
    executor_cores: str
    """Number of parallel tasks."""
    executor_memory: str
    """Heap size, in Java's notation."""
    application_id: str
    executor_pod_ip: str
    executor_pod_name: str
    resource_profile_id: str = "0"
    classpath: str = ""
    """Value of spark.executor.extraClassPath."""
    conf_dir: str = ""
    """Folder with the application's configuration files such as log4j2.properties, if any."""
    home: str
    """SPARK_HOME of the image."""
    java_home: str = Field(validation_alias="JAVA_HOME")


def java_options() -> list[str]:
    """Return the options of an executor's JVM in order; each has its own variable."""
    numbered = ((_JAVA_OPTION.fullmatch(name), value) for name, value in os.environ.items())
    return [value for _, value in sorted((int(found[1]), value) for found, value in numbered if found)]


def inherited() -> dict[str, str]:
    """Return the environment of this process, for the next one."""
    return dict(os.environ)
