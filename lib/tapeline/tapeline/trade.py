"""The trade record: one table, and what is derived from it.

`COLUMNS` is the table. The pydantic model, the Spark schema and the Elasticsearch mapping
are made from it and never written by hand elsewhere.
To add a field: add a row to COLUMNS; `stage` says who fills it in.
Source of the exchange's fields: https://bybit-exchange.github.io/docs/v5/websocket/public/trade
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from tapeline import instrument, names
from tapeline.enums import MarketType, PredictionState, QuantityUnit, Side, TradeSource
from tapeline.instrument import SYMBOL_PATTERN, VENUE_PATTERN, Instrument
from tapeline.records import mapping_types

# A millisecond stamp before 2001 or after 2286 is seconds, microseconds or nanoseconds by mistake.
EARLIEST_MS: Final = 1_000_000_000_000
LATEST_MS: Final = 9_999_999_999_999
# A positive plain decimal; written without look-ahead, which pydantic's regex engine lacks.
DECIMAL_PATTERN: Final = r"^([1-9][0-9]{0,17}(\.[0-9]{1,20})?|0\.0{0,19}[1-9][0-9]{0,19})$"
ASSET_PATTERN: Final = r"^[^|\s\x00-\x1f\x7f-\x9f]{1,32}$"
TRADE_ID_PATTERN: Final = r"^[A-Za-z0-9._-]{1,64}$"


class Stage(Enum):
    """Who fills a column in."""

    WIRE = "producer, into Kafka"
    SCORED = "Spark, into Elasticsearch"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value looks in each of the derived forms.

    Attributes:
        python: type of the value.
        spark: Spark SQL type.
        elastic: Elasticsearch field mapping.
        constraints: limits, under the names that pydantic's Field and msgspec's Meta share.
    """

    python: Any
    spark: str
    elastic: dict[str, Any]
    constraints: dict[str, Any]


VENUE = Kind(str, "string", mapping_types.KEYWORD, {"pattern": VENUE_PATTERN})
SYMBOL = Kind(str, "string", mapping_types.KEYWORD, {"pattern": SYMBOL_PATTERN})
KEYWORD = Kind(str, "string", mapping_types.KEYWORD, {"min_length": 1, "max_length": 256})
# Found by document id, never aggregated.
TRADE_ID = Kind(str, "string", {"type": "keyword", "doc_values": False}, {"pattern": TRADE_ID_PATTERN})
EPOCH_MS = Kind(int, "bigint", mapping_types.DATE, {"ge": EARLIEST_MS, "le": LATEST_MS})
# Between two clocks, so perhaps below zero.
DURATION_MS = Kind(int, "bigint", {"type": "long"}, {"ge": EARLIEST_MS - LATEST_MS, "le": LATEST_MS - EARLIEST_MS})
DECIMAL = Kind(str, "string", {"type": "double"}, {"pattern": DECIMAL_PATTERN})
ASSET = Kind(str, "string", mapping_types.KEYWORD, {"pattern": ASSET_PATTERN})
QUANTITY_UNIT = Kind(QuantityUnit, "string", mapping_types.KEYWORD, {})
SIDE = Kind(Side, "string", mapping_types.KEYWORD, {})
MARKET_TYPE = Kind(MarketType, "string", mapping_types.KEYWORD, {})
SOURCE = Kind(TradeSource, "string", mapping_types.KEYWORD, {})
LONG = Kind(int, "bigint", {"type": "long"}, {"ge": 0, "le": 2**63 - 1})
INTEGER = Kind(int, "int", {"type": "integer"}, {"ge": 0, "le": 2**31 - 1})
FLAG = Kind(bool, "boolean", {"type": "boolean"}, {})
PROBABILITY = Kind(float, "double", {"type": "double"}, {"ge": 0.0, "le": 1.0})
CLASS = Kind(int, "int", {"type": "byte"}, {"ge": 0, "le": 1})
STATE = Kind(PredictionState, "string", mapping_types.KEYWORD, {})


@dataclass(frozen=True, slots=True)
class Column:
    """One field of the trade record."""

    name: str
    kind: Kind
    stage: Stage
    nullable: bool
    meaning: str


COLUMNS: Final = (
    Column("venue", VENUE, Stage.WIRE, False, "exchange, `bybit`"),
    Column("market_type", MARKET_TYPE, Stage.WIRE, False, "market, from the URL: the frame does not say"),
    Column("symbol", SYMBOL, Stage.WIRE, False, "`s`"),
    Column("trade_id", TRADE_ID, Stage.WIRE, False, "`i`, kept as text"),
    Column("traded_at", EPOCH_MS, Stage.WIRE, False, "`T`, ms UTC; the document's @timestamp"),
    Column("price", DECIMAL, Stage.WIRE, False, "`p`, quote per base; the exchange's own digits"),
    Column("quantity", DECIMAL, Stage.WIRE, False, "`v`, in `quantity_unit`; the exchange's own digits"),
    Column("quantity_unit", QUANTITY_UNIT, Stage.WIRE, False, "what the exchange counts in"),
    Column("contract_size", DECIMAL, Stage.WIRE, True, "what one contract stands for; absent where none is counted"),
    Column("base_quantity", DECIMAL, Stage.WIRE, False, "the quantity in base, 18 significant digits, half-even"),
    Column("base", ASSET, Stage.WIRE, True, "base asset; absent where the exchange's list was not to be had"),
    Column("quote", ASSET, Stage.WIRE, True, "quote asset; absent where the exchange's list was not to be had"),
    Column("side", SIDE, Stage.WIRE, False, "`S`, of the taker"),
    Column("sequence", LONG, Stage.WIRE, True, "`seq`, orders trades, not contiguous; absent before 2025-08"),
    Column("frame_index", INTEGER, Stage.WIRE, False, "place among the trades of one (traded_at, sequence)"),
    Column("is_block_trade", FLAG, Stage.WIRE, True, "`BT`"),
    Column("is_rpi", FLAG, Stage.WIRE, True, "`RPI`, retail price improvement"),
    Column("received_at", EPOCH_MS, Stage.WIRE, False, "read from the socket, our clock, ms UTC"),
    Column("produced_at", EPOCH_MS, Stage.WIRE, False, "handed to the Kafka client, our clock, ms UTC"),
    Column("source", SOURCE, Stage.WIRE, False, "`stream`, or `backfill` over REST"),
    Column("is_buy", FLAG, Stage.SCORED, False, "side is Buy"),
    Column("indexed_at", EPOCH_MS, Stage.SCORED, False, "handed to Elasticsearch, our clock, ms UTC"),
    Column("delay_ms", DURATION_MS, Stage.SCORED, False, "from traded_at to indexed_at, ms"),
    Column("feed_ms", DURATION_MS, Stage.SCORED, False, "from traded_at to received_at, ms: the exchange and the way"),
    Column("own_ms", DURATION_MS, Stage.SCORED, False, "from received_at to indexed_at, ms: ours"),
    Column("probability", PROBABILITY, Stage.SCORED, True, "that the next different price is higher"),
    Column("prediction", CLASS, Stage.SCORED, True, "1 where probability passes the model's threshold"),
    Column("prediction_state", STATE, Stage.SCORED, False, "a probability is a number only in `ok`"),
    Column("model_digest", KEYWORD, Stage.SCORED, True, "which model said so"),
    Column("feature_version", KEYWORD, Stage.SCORED, False, "which features it saw"),
)
WIRE_COLUMNS: Final = tuple(c for c in COLUMNS if c.stage is Stage.WIRE)


def _model(name: str, columns: Iterable[Column], doc: str) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for column in columns:
        # Elsewhere no value is converted; a StrEnum is its text.
        loose: dict[str, Any] = {"strict": False} if issubclass(column.kind.python, Enum) else {}
        value: Any = Annotated[(column.kind.python, Field(**column.kind.constraints, **loose))]
        default = None if column.nullable else ...
        kind = value | None if column.nullable else value
        fields[column.name] = (kind, Field(default, description=column.meaning))
    # Writers write these fields and no other; readers ignore what they do not know.
    config = ConfigDict(extra="ignore", strict=True, frozen=True)
    return create_model(name, __config__=config, __doc__=doc, __module__=__name__, **fields)


WireTrade: Final = _model("WireTrade", WIRE_COLUMNS, "A trade as it stands in Kafka.")
StoredTrade: Final = _model("StoredTrade", COLUMNS, "A trade as it stands in Elasticsearch.")


def spark_schema(columns: Iterable[Column] = WIRE_COLUMNS) -> str:
    """Return the Spark DDL of the record, decimal text kept as `string`."""
    return ", ".join(f"{column.name} {column.kind.spark}{'' if column.nullable else ' NOT NULL'}" for column in columns)


def elastic_mapping() -> dict[str, Any]:
    """Return the strict Elasticsearch mapping of a stored trade.

    `@timestamp` repeats `traded_at`, because every tool looks for it under that name.
    """
    properties = {column.name: column.kind.elastic for column in COLUMNS}
    return {"dynamic": "strict", "properties": {"@timestamp": mapping_types.DATE, **properties}}


def instrument_of(record: Any) -> Instrument:
    """Return the instrument of anything with the attributes of a trade."""
    return instrument.instrument_of(record.venue, record.market_type, record.symbol)


def identity_of(record: Any) -> str:
    """Return the identity of anything with the attributes of a trade."""
    return names.identity(record.venue, record.market_type, record.symbol, record.trade_id)
