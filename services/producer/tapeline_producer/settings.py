"""Everything that can be configured; the environment is read here and nowhere else."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from tapeline import names
from tapeline.service.connection import KafkaConnection

_List = Annotated[tuple[str, ...], NoDecode]


class Settings(KafkaConnection, BaseSettings):
    """The producer's settings, each as PRODUCER_<NAME>; those of Kafka's security: tapeline.access."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_", frozen=True, extra="ignore")

    exchange: Literal["bybit", "simulator"] = "bybit"
    """Which exchange this is, for messages only."""
    websocket_url: str = "wss://stream.bybit.com"
    """Base of the public streams; `/v5/public/<market_type>` is added."""
    rest_url: str = "https://api.bybit.com"
    """Base of the REST interface; `/v5/market/...` is added."""
    market_types: _List = names.MARKET_TYPES
    """Markets to follow, comma separated."""
    symbols: _List = ()
    """Symbols to follow in every market_type, comma separated; empty: chosen by turnover."""
    top: int = Field(default=20, ge=1, le=2000)
    """Symbols a market_type, by turnover of 24 h, when none are named."""
    quote: str = "USDT"
    """Quote coin of the symbols chosen by turnover."""
    reselect_s: float = Field(default=3600.0, ge=0)
    """How often symbols are chosen by turnover anew, at whole multiples of it in UTC; 0: never."""

    group: str | None = Field(default=None, min_length=1)
    """Consumer group whose members share the symbols; None: this process alone follows all of them."""
    group_session_s: float = Field(default=6.0, gt=0)
    """Silence after which the group takes a member for dead; brokers refuse less than 6 s unless told otherwise."""
    handover_s: float = Field(default=15.0, ge=0)
    """Longest time that symbols given to another replica are still followed here, until that one has taken them up."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka brokers, `host:port`, comma separated."""
    topic_trades: str = names.TOPIC_TRADES
    """Topic of the trades."""
    topic_gaps: str = names.TOPIC_GAPS
    """Topic of the holes in the feed."""
    topic_rejects: str = names.TOPIC_REJECTS
    """Topic of what could not be read."""
    topic_counts: str = names.TOPIC_COUNTS
    """Topic of what was counted, by symbol and minute."""
    topic_assignments: str = names.TOPIC_SHARDS
    """Empty topic whose partitions are the shares that the replicas of a group deal out; without a group unused."""
    kafka_linger_ms: int = Field(default=10, ge=0, le=1000)
    """How long a record waits for company in a batch."""
    kafka_queue_messages: int = Field(default=100_000, ge=1)
    """Records inside the Kafka client; beyond them the own buffer is used."""
    kafka_check_s: float = Field(default=5.0, gt=0)
    """How often Kafka and its topics are looked at."""
    counts_interval_s: float = Field(default=5.0, gt=0)
    """How often what was counted is told."""
    buffer_trades: int = Field(default=200_000, ge=1)
    """Trades kept in memory beyond the Kafka client's queue; beyond them the newest are dropped and noted."""
    resume_records: int = Field(default=100_000, ge=1)
    """Records read at start from the end of each partition, to know what is there already."""

    dedupe_ids: int = Field(default=3_000, ge=1_100)
    """Trade ids remembered a symbol; above the 1,000 of the largest back-fill."""
    hold_s: float = Field(default=5.0, gt=0)
    """Longest wait for a back-fill while a symbol's new trades are held."""
    hold_trades: int = Field(default=10_000, ge=1)
    """Most trades held a symbol during a back-fill."""
    settle_s: float = Field(default=0.2, ge=0)
    """Pause between subscription and back-fill: REST may lag behind the stream."""
    rest_concurrency: int = Field(default=10, ge=1)
    """REST requests at one time."""
    rest_requests_per_5s: int = Field(default=300, ge=1, le=550)
    """REST requests in any 5 s; the exchange bans at 600."""

    ping_s: float = Field(default=20.0, gt=0)
    """Interval of the JSON ping that the exchange asks for."""
    ack_s: float = Field(default=10.0, gt=0)
    """How long an answer to a subscribe request may take."""
    refused_retry_s: float = Field(default=60.0, gt=0)
    """How often a refused topic is tried again, in case it is listed later."""
    data_silence_s: float = Field(default=30.0, gt=0)
    """Shortest silence of a connection that counts as a stall; quiet connections get more."""
    reconnect_min_s: float = Field(default=1.0, gt=0)
    """Shortest pause before connecting again; the exchange allows 500 connections in 5 minutes."""
    reconnect_max_s: float = Field(default=30.0, gt=0)
    """Longest pause before connecting again."""
    max_frame_bytes: int = Field(default=4 * 2**20, ge=2**20)
    """Largest frame read; the exchange's own are below 200 kB."""

    health_host: str = "127.0.0.1"
    """Address of /health/live, /health/ready and /metrics."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """Port of the same."""
    log_level: str = "INFO"
    """Least level of the log lines written."""

    @field_validator("market_types", "symbols", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        return value

    @field_validator("market_types")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [market_type for market_type in value if market_type not in names.MARKET_TYPES]
        if unknown or not value:
            raise ValueError(
                f"market_types was {value}; each must be one of {names.MARKET_TYPES}, at least one: "
                "set PRODUCER_MARKET_TYPES"
            )
        return value

    @field_validator("websocket_url", "rest_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")
