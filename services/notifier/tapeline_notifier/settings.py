"""Settings of the notifier. Only this module reads the environment.

Recipients and message rates: targets.py.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline import names
from tapeline.service.connection import KafkaConnection


class Settings(KafkaConnection, BaseSettings):
    """Settings, each as NOTIFIER_<NAME>; those of Kafka's security: tapeline.service.connection."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", frozen=True, extra="ignore")

    targets: Path
    """YAML file of the targets, see targets.py."""
    state: Path
    """Durable folder of the sent-log; one process at a time. Its loss can repeat alerts above the committed offsets."""
    dry_run: bool = False
    """Log messages instead of sending them; record nothing and commit no offset."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka brokers, `host:port`, comma separated."""
    topic_alerts: str = names.TOPIC_ALERTS
    """Topic of the alerts."""
    group: str = Field(default=names.GROUP_NOTIFIER, min_length=1)
    """Consumer group that stores the offsets; no process joins it."""
    kafka_check_s: float = Field(default=5.0, gt=0)
    """Seconds between checks of the topic, for readiness and new partitions."""

    http_timeout_s: float = Field(default=10.0, gt=0)
    """Maximum duration of one request; after a timeout the message may have arrived."""
    retry_least_s: float = Field(default=1.0, gt=0)
    """Delay after the first failed attempt; it doubles with each further one."""
    retry_most_s: float = Field(default=60.0, gt=0)
    """Maximum of this delay."""
    refused_retry_s: float = Field(default=60.0, gt=0)
    """Delay after a refusal that an operator must repair: a wrong token, a deleted chat."""
    max_age_s: float = Field(default=86_400.0, gt=0)
    """Age since raised_at from which an alert is no longer sent; it stays in Elasticsearch."""
    waiting_alerts: int = Field(default=10_000, ge=1)
    """Maximum alerts in memory; above it reading pauses, and Kafka keeps the rest."""
    keep_days: int = Field(default=35, ge=1)
    """Retention of the sent-log in days; longer than that of the topic, or alerts read again would be sent again."""

    health_host: str = "127.0.0.1"
    """Address of /health/live, /health/ready and /metrics."""
    health_port: int = Field(default=8080, ge=0, le=65535)
    """Port of these endpoints; 0 takes a free port."""
    log_level: str = "INFO"
    """Minimum log level."""
