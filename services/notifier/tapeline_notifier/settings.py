"""Everything that can be configured outside the file of targets; the environment is read here and nowhere else.

Whom to tell, and how often: targets.py.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline import names
from tapeline.service.connection import KafkaConnection


class Settings(KafkaConnection, BaseSettings):
    """The notifier's settings, each as NOTIFIER_<NAME>; those of Kafka's security: tapeline.access."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", frozen=True, extra="ignore")

    targets: Path
    """YAML file that says whom to tell of what, see targets.py."""
    state: Path
    """Durable folder of the sent-log; one process at a time. Its loss can double what Kafka's offsets do not cover."""
    dry_run: bool = False
    """Log what would be sent, send nothing, and remember nothing of it."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka brokers, `host:port`, comma separated."""
    topic_alerts: str = names.TOPIC_ALERTS
    """Topic of the alerts."""
    group: str = Field(default=names.GROUP_NOTIFIER, min_length=1)
    """Under which the place in the topic is kept; joined by nobody."""
    kafka_check_s: float = Field(default=5.0, gt=0)
    """How often the topic is looked at, for readiness and for new partitions."""

    http_timeout_s: float = Field(default=10.0, gt=0)
    """Longest time one request may take; after it nobody knows whether the message arrived."""
    retry_least_s: float = Field(default=1.0, gt=0)
    """Pause after the first failure of a message; it doubles from there."""
    retry_most_s: float = Field(default=60.0, gt=0)
    """Longest of these pauses."""
    refused_retry_s: float = Field(default=60.0, gt=0)
    """Pause after a refusal that only a person can repair: a wrong token, a chat that is gone."""
    max_age_s: float = Field(default=86_400.0, gt=0)
    """Age, since it was raised, from which an alert is no longer sent; it stays in Elasticsearch."""
    waiting_alerts: int = Field(default=10_000, ge=1)
    """Alerts kept in memory; beyond them reading pauses, and Kafka keeps them."""
    keep_days: int = Field(default=35, ge=1)
    """Days the sent-log remembers; longer than Kafka keeps alerts, or a second reading would send them again."""

    health_host: str = "127.0.0.1"
    """Address of /health/live, /health/ready and /metrics."""
    health_port: int = Field(default=8080, ge=0, le=65535)
    """Port of the same; 0 takes a free one."""
    log_level: str = "INFO"
    """Least level of the log lines written."""
