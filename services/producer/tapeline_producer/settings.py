"""Settings of the producer; the only module that reads the environment."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from tapeline import names
from tapeline.enums import MarketType
from tapeline.instrument import SYMBOL_PATTERN
from tapeline.service.connection import KafkaConnection

_Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN)]


class Settings(KafkaConnection, BaseSettings):
    """The producer's settings, each as PRODUCER_<NAME>; those of Kafka's security: tapeline.service.connection."""

    model_config = SettingsConfigDict(env_prefix="PRODUCER_", frozen=True, extra="ignore")

    exchange: Literal["bybit", "simulator"] = "bybit"
    """Name of the exchange, for log messages only."""
    websocket_url: str = "wss://stream.bybit.com"
    """Base URL of the public streams; `/v5/public/<market_type>` is added."""
    rest_url: str = "https://api.bybit.com"
    """Base URL of the REST API; `/v5/market/...` is added."""
    market_types: Annotated[tuple[MarketType, ...], NoDecode] = (MarketType.SPOT, MarketType.LINEAR)
    """Markets to subscribe, comma separated."""
    symbols: Annotated[tuple[_Symbol, ...], NoDecode] = ()
    """Symbols to subscribe in every market, comma separated; empty: selected by turnover."""
    top: int = Field(default=20, ge=1, le=2000)
    """Symbols of a market, by turnover of 24 h, if PRODUCER_SYMBOLS is empty."""
    quote: str = "USDT"
    """Quote asset of the symbols selected by turnover; inverse contracts are all quoted in USD."""
    reselect_s: float = Field(default=3600.0, ge=0)
    """Interval of the selection by turnover, at whole multiples of it in UTC; 0: only at start."""

    group: str | None = Field(default=None, min_length=1)
    """Consumer group whose members share the symbols; None: this process subscribes all of them."""
    group_session_s: float = Field(default=6.0, gt=0)
    """Session time-out of a group member; brokers refuse less than 6 s unless configured otherwise."""
    handover_s: float = Field(default=15.0, ge=0)
    """Longest time that a revoked shard stays subscribed until another replica claims it."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    """Kafka brokers, `host:port`, comma separated."""
    topic_trades: str = names.TOPIC_TRADES
    """Topic of the trades."""
    topic_gaps: str = names.TOPIC_GAPS
    """Topic of the gaps."""
    topic_rejects: str = names.TOPIC_REJECTS
    """Topic of the rejects: input that could not be parsed."""
    topic_counts: str = names.TOPIC_COUNTS
    """Topic of the counts by symbol and minute."""
    topic_shards: str = names.TOPIC_SHARDS
    """Empty topic whose partitions are the shards of a group; unused without a group."""
    kafka_linger_ms: int = Field(default=10, ge=0, le=1000)
    """Longest wait of a record for its batch to fill."""
    kafka_queue_messages: int = Field(default=100_000, ge=1)
    """Most records in the Kafka client's queue; further records go to the own buffer."""
    kafka_check_s: float = Field(default=5.0, gt=0)
    """Interval of the check that Kafka and its topics exist."""
    counts_interval_s: float = Field(default=5.0, gt=0)
    """Interval at which counts are published."""
    buffer_trades: int = Field(default=200_000, ge=1)
    """Most trades buffered beyond the Kafka client's queue; further trades are dropped and reported as a gap."""
    resume_records: int = Field(default=100_000, ge=1)
    """Most records read from the end of each partition before a symbol is subscribed."""

    dedupe_ids: int = Field(default=3_000, ge=1_100)
    """Trade ids kept a symbol for deduplication; above the 1,000 of the largest back-fill."""
    backfill_timeout_s: float = Field(default=5.0, gt=0)
    """Time-out of a back-fill, during which a symbol's new trades are buffered."""
    backfill_buffer_trades: int = Field(default=10_000, ge=1)
    """Most trades buffered a symbol during a back-fill."""
    backfill_delay_s: float = Field(default=0.2, ge=0)
    """Delay between subscription and back-fill: REST may lag behind the stream."""
    rest_concurrency: int = Field(default=10, ge=1)
    """Most concurrent REST requests."""
    rest_requests_per_5s: int = Field(default=300, ge=1, le=550)
    """Most REST requests in any 5 s; the exchange bans at 600."""

    ping_s: float = Field(default=20.0, gt=0)
    """Interval of the JSON ping that the exchange requires."""
    ack_s: float = Field(default=10.0, gt=0)
    """Time-out of the acknowledgement of a subscribe request."""
    refused_retry_s: float = Field(default=60.0, gt=0)
    """Retry interval of a refused topic, which may be listed later."""
    data_silence_s: float = Field(default=30.0, gt=0)
    """Shortest time without a trade that counts as a stall; slow connections get more."""
    reconnect_min_s: float = Field(default=1.0, gt=0)
    """Shortest delay before a reconnect; the exchange allows 500 connections in 5 minutes."""
    reconnect_max_s: float = Field(default=30.0, gt=0)
    """Longest delay before a reconnect."""
    max_frame_bytes: int = Field(default=4 * 2**20, ge=2**20)
    """Largest accepted frame; those of the exchange are below 200 kB."""

    health_host: str = "127.0.0.1"
    """Bind address of /health/live, /health/ready and /metrics."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """Port of /health/live, /health/ready and /metrics."""
    log_level: str = "INFO"
    """Lowest level of the log messages written."""

    @field_validator("market_types", "symbols", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        return value

    @field_validator("market_types", mode="wrap")
    @classmethod
    def _known(cls, value: object, parse: ValidatorFunctionWrapHandler) -> tuple[MarketType, ...]:
        known = ", ".join(MarketType)
        rule = f"market_types was {value}; each must be one of {known}, at least one: set PRODUCER_MARKET_TYPES"
        try:
            parsed: tuple[MarketType, ...] = parse(value)
        except ValidationError:
            raise ValueError(rule) from None
        if not parsed:
            raise ValueError(rule)
        return parsed

    @field_validator("websocket_url", "rest_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")
