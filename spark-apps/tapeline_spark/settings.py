"""Settings of the stream and of what prepares Elasticsearch for it, read from the environment once, here.

Those of security (users, password files, authorities) stand in tapeline.access.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline import names
from tapeline.service.connection import ElasticsearchConnection, KafkaConnection


class BootstrapSettings(ElasticsearchConnection, BaseSettings):
    """What templates and retention need; environment variables carry the prefix STREAM_."""

    model_config = SettingsConfigDict(env_prefix="STREAM_", frozen=True, extra="forbid")

    elasticsearch_url: str
    """Address of Elasticsearch, such as http://127.0.0.1:9200."""
    hold_s: float = Field(default=600.0, gt=0)
    """Seconds Elasticsearch is waited for; then a batch fails and is run again, and a bootstrap ends with 1."""
    replicas: int = Field(default=0, ge=0)
    """Replicas of each index."""
    refresh_interval: str = "1s"
    """How soon a document can be found after it was written."""
    retention_days: int | None = Field(default=None, ge=1)
    """Days after its first trade that an index of trades is deleted, by Elasticsearch itself; None: never."""
    log_level: str = "INFO"


class Settings(KafkaConnection, BootstrapSettings):
    """Every setting of the stream; environment variables carry the prefix STREAM_."""

    inference_url: str
    """Address of the inference service, without a path."""
    checkpoint: Path
    """Durable folder of this query; its loss costs a second reading of the log, never a trade."""
    jars: Path
    """Folder of the Kafka connector's jars."""
    shape: Literal["driver", "executors"] = "driver"
    """Where a batch is worked on: in the driver (one machine), or a Python stage a partition (a cluster)."""
    topic_trades: str = names.TOPIC_TRADES
    topic_gaps: str = names.TOPIC_GAPS
    topic_rejects: str = names.TOPIC_REJECTS
    topic_counts: str = names.TOPIC_COUNTS
    topic_alerts: str = names.TOPIC_ALERTS
    """Written, not read."""
    rules: Path | None = None
    """YAML file of the rules of alerts; None: the shipped one, tapeline_spark/alerts/rules.yaml."""
    queries: Literal["both", "trades", "candles"] = "both"
    """Which of the two queries this process runs; another one with the same checkpoint folder may run the other."""
    late_minutes: int = Field(default=30, ge=1, le=240)
    """How many minutes behind the newest of its symbol a trade may come and still be in its candle."""
    quiet_minutes: int = Field(default=1_440, ge=1)
    """For how many minutes after its last trade a symbol has candles."""
    candles_interval_s: float = Field(default=2.0, ge=0)
    """Seconds from one batch of the candles to the next; every candle that changed is written again in each."""
    candles_max_records: int = Field(default=50_000, ge=1_000)
    """Bounds a batch of the candles."""
    candles_snapshot_interval_s: float = Field(default=60.0, ge=0)
    """Seconds between two snapshots of the candles' state; what came since is read again at a restart."""
    recount_s: float = Field(default=60.0, gt=0)
    """How often the documents of a minute are counted that seems to be done, until late trades cannot change it."""
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=8090, ge=0, le=65535)
    """Port of /health and /metrics; 0 takes a free one."""
    driver_memory: str = "768m"
    """Heap of the JVM, in Java's notation."""
    master: str = "local[2]"
    """Spark master; not used where spark-submit has chosen one (stream.py)."""
    java_options: str = "-XX:+UseSerialGC -Xss512k"
    max_records_per_batch: int = Field(default=20_000, ge=100)
    """Bounds a batch, and with it how long a replay after a crash takes."""
    templates: Literal["own", "external"] = "own"
    """Who puts index templates and retention in place: the stream, or `tapeline_spark.elastic.bootstrap` beforehand."""
    predict_timeout_s: float = Field(default=2.0, gt=0)
    """Deadline of one call to the inference service."""
    predict_pause_s: float = Field(default=1.0, gt=0)
    """Seconds the inference service is left alone after it failed."""
    snapshot_interval_s: float = Field(default=15.0, ge=0)
    """Seconds between two snapshots of the tails; what came since is read again from Kafka at a restart."""
    bulk_documents: int = Field(default=2_500, ge=1)
    """Documents in one bulk request; the next are prepared while Elasticsearch takes them."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic the query of trades reads."""
        return self.topic_trades, self.topic_gaps, self.topic_rejects

    @property
    def candle_topics(self) -> tuple[str, ...]:
        """Every topic the query of candles reads."""
        return *self.topics, self.topic_counts

    @property
    def needed_topics(self) -> tuple[str, ...]:
        """Every topic that must be there for the queries of this process."""
        return self.topics if self.queries == "trades" else (*self.candle_topics, self.topic_alerts)
