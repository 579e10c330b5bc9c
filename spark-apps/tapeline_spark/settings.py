"""Settings of the stream and of its Elasticsearch bootstrap, read from the environment.

Security settings (users, password files, authorities) are in tapeline.service.connection.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from tapeline import names
from tapeline.service.connection import ElasticsearchConnection, KafkaConnection


class BootstrapSettings(ElasticsearchConnection, BaseSettings):
    """Settings of index templates and retention; environment variables carry the prefix STREAM_."""

    model_config = SettingsConfigDict(env_prefix="STREAM_", frozen=True, extra="forbid")

    elasticsearch_url: str
    """Address of Elasticsearch, such as http://127.0.0.1:9200."""
    hold_s: float = Field(default=600.0, gt=0)
    """Seconds an outage is retried; then a batch fails and is run again, and a bootstrap exits with 1."""
    replicas: int = Field(default=0, ge=0)
    """Replicas of each index."""
    refresh_interval: str = "1s"
    """Delay until a written document can be found."""
    retention_days: int | None = Field(default=None, ge=1)
    """Days after which Elasticsearch deletes an index of trades; None: never."""
    log_level: str = "INFO"


class Settings(KafkaConnection, BootstrapSettings):
    """Every setting of the stream; environment variables carry the prefix STREAM_."""

    inference_url: str
    """Address of the inference service, without a path."""
    checkpoint: Path
    """Durable folder of offsets and snapshots; losing it costs a replay of the log, never a trade."""
    jars: Path
    """Folder of the Kafka connector's jars."""
    execution: Literal["driver", "executors"] = "driver"
    """Where a batch is processed: in the driver (one machine), or in one Python stage per partition (a cluster)."""
    topics_trades: Annotated[tuple[str, ...], NoDecode] = (names.TOPIC_TRADES,)
    """Topics of the trades, comma separated; another list needs another checkpoint folder."""
    topic_gaps: str = names.TOPIC_GAPS
    topic_rejects: str = names.TOPIC_REJECTS
    topic_counts: str = names.TOPIC_COUNTS
    topic_alerts: str = names.TOPIC_ALERTS
    """Output topic."""
    rules: Path | None = None
    """YAML file of alert rules; None: the shipped one, tapeline_spark/alerts/rules.yaml."""
    queries: Literal["both", "trades", "candles"] = "both"
    """Which of the two queries this process runs; another process with the same checkpoint folder may run the other."""
    late_minutes: int = Field(default=30, ge=1, le=240)
    """Minutes that a trade may be behind the newest minute of its symbol and still enter its candle."""
    quiet_minutes: int = Field(default=1_440, ge=1)
    """Minutes after its last trade for which a symbol still gets candles."""
    trades_interval_s: float = Field(default=0.0, ge=0)
    """Seconds between the starts of two batches of the trade query; 0: the next one starts when one is done.

    Each batch costs Spark and Elasticsearch some work however few trades it has: 0.5 s or more spares a small machine
    most of it, and delays every prediction by half of that."""
    candles_interval_s: float = Field(default=2.0, ge=0)
    """Seconds between two batches of the candle query; each batch rewrites every candle that changed."""
    candles_max_records: int = Field(default=50_000, ge=1_000)
    """Most records in a batch of the candle query."""
    candles_snapshot_interval_s: float = Field(default=60.0, ge=0)
    """Seconds between two snapshots of the candle state; a restart replays the records since the last one."""
    recount_s: float = Field(default=60.0, gt=0)
    """Seconds between two counts of the documents of a reconciled minute, until late trades cannot change it."""
    health_host: str = "127.0.0.1"
    health_port: int = Field(default=8090, ge=0, le=65535)
    """Port of /health and /metrics; 0: any free port."""
    driver_memory: str = "768m"
    """Heap of the JVM, in Java's notation."""
    master: str = "local[2]"
    """Spark master; not used under spark-submit (stream.py)."""
    java_options: str = "-XX:+UseSerialGC -Xss512k"
    max_records_per_batch: int = Field(default=20_000, ge=100)
    """Most records in a batch of the trade query; bounds the replay after a crash."""
    templates: Literal["own", "external"] = "own"
    """Who writes index templates and retention: the stream, or `tapeline_spark.elastic.bootstrap` beforehand."""
    predict_timeout_s: float = Field(default=2.0, gt=0)
    """Timeout of one call to the inference service."""
    predict_pause_s: float = Field(default=1.0, gt=0)
    """Seconds without calls to the inference service after a failure (circuit breaker)."""
    snapshot_interval_s: float = Field(default=15.0, ge=0)
    """Seconds between two snapshots of the lookback state; a restart replays the records since the last one."""
    bulk_documents: int = Field(default=2_500, ge=1)
    """Documents in one bulk request; the next request is prepared while Elasticsearch indexes this one."""

    @field_validator("topics_trades", mode="before")
    @classmethod
    def _split_list(cls, given: Any) -> Any:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _topics_are_distinct(self) -> Self:
        # One topic under two roles would be read once, as one of them.
        topics = (*self.candle_topics, self.topic_alerts)
        if not self.topics_trades or len(set(topics)) < len(topics):
            raise ValueError(
                f"STREAM_TOPICS_TRADES was {','.join(self.topics_trades)!r}, beside the topics "
                f"{', '.join(topics[len(self.topics_trades) :])}; at least one is needed, each under one setting, "
                f"once: name the topics of the trades, such as {names.TOPIC_TRADES}"
            )
        return self

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of the trade query."""
        return *self.topics_trades, self.topic_gaps, self.topic_rejects

    @property
    def candle_topics(self) -> tuple[str, ...]:
        """Topics of the candle query."""
        return *self.topics, self.topic_counts

    @property
    def needed_topics(self) -> tuple[str, ...]:
        """Topics that must exist before the queries of this process start."""
        return self.topics if self.queries == "trades" else (*self.candle_topics, self.topic_alerts)
