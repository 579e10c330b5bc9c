"""Builds documents for Elasticsearch and the bulk operations that write them. Pure."""

from typing import Any, Final, Literal, NamedTuple

import msgspec
import orjson
from tapeline import names, trade
from tapeline.enums import PredictionState, Side
from tapeline.model import features
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject

from tapeline_spark.kafka.decode import DecodedTrade, UnreadableRecord, object_body

_LINE_END: Final = b"\n"


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One document to write, with its position in the log if it comes from one record."""

    index: str
    identity: str
    source: bytes
    topic: str = ""
    partition: int = -1
    offset: int = -1
    kind: Literal["create", "index", "update"] = "create"
    """`create` keeps a stored document, `index` overwrites it, `update` changes some of its fields."""
    version: int | None = None
    """With `index`: overwrites only a document without a higher version."""

    def lines(self) -> bytes:
        """Return the two lines of this operation in a bulk request."""
        action: dict[str, Any] = {"_index": self.index, "_id": self.identity}
        if self.version is not None:
            action |= {"version": self.version, "version_type": "external_gte"}
        return b"".join((orjson.dumps({self.kind: action}), _LINE_END, self.source, _LINE_END))


class PredictionResult(NamedTuple):
    """Prediction of one trade: a state, and numbers only if the state is `ok`."""

    state: PredictionState
    probability: float | None = None
    prediction: int | None = None
    model_digest: str | None = None


def trade_operation(record: DecodedTrade, result: PredictionResult, indexed_at_ms: int) -> Operation:
    """Return the `create` operation of a trade; the exchange's digits are kept."""
    item = record.trade
    added: dict[str, Any] = {
        "@timestamp": item.traded_at,
        "is_buy": item.side is Side.BUY,
        "indexed_at": indexed_at_ms,
        "delay_ms": indexed_at_ms - item.traded_at,
        "feed_ms": item.received_at - item.traded_at,
        "own_ms": indexed_at_ms - item.received_at,
        "probability": result.probability,
        "prediction": result.prediction,
        "prediction_state": result.state,
        "model_digest": result.model_digest,
        "feature_version": features.VERSION,
    }
    source = object_body(record) + b"," + orjson.dumps(added)[1:]
    index = names.index_for_trade(item.traded_at)
    return Operation(index, trade.identity_of(item), source, record.topic, record.partition, record.offset)


def unreadable_operation(item: UnreadableRecord, rejected_at_ms: int) -> Operation:
    """Return the `create` operation of a reject for a value that is not a trade."""
    reject = Reject.from_bytes("spark", item.reason, item.value, rejected_at_ms)
    return _reject_operation(reject, item.topic, item.partition, item.offset)


def refused_operation(refused: Operation, reason: str, rejected_at_ms: int) -> Operation:
    """Return the `create` operation of a reject for a document that Elasticsearch refused."""
    reject = Reject.from_bytes("elasticsearch", reason, refused.source, rejected_at_ms)
    return _reject_operation(reject, refused.topic, refused.partition, refused.offset)


def reject_operation(value: bytes, topic: str, partition: int, offset: int, now_ms: int) -> Operation:
    """Return the `create` operation of a reject from the producer, or of a reject for an unreadable one."""
    try:
        reject = Reject.model_validate_json(value)
    except ValueError as error:
        reject = Reject.from_bytes("spark", f"unreadable reject: {error}", value, now_ms)
    return _reject_operation(reject, topic, partition, offset)


def gap_operation(value: bytes, topic: str, partition: int, offset: int, now_ms: int) -> Operation:
    """Return the `create` operation of a gap from the producer, or of a reject if it is unreadable."""
    try:
        gap = Gap.model_validate_json(value)
    except ValueError as error:
        reject = Reject.from_bytes("spark", f"unreadable gap: {error}", value, now_ms)
        return _reject_operation(reject, topic, partition, offset)
    source = orjson.dumps({"@timestamp": gap.detected_at, **gap.model_dump()})
    return Operation(names.INDEX_GAPS, gap.identity(), source, topic, partition, offset)


def _reject_operation(reject: Reject, topic: str, partition: int, offset: int) -> Operation:
    position = {"topic": topic, "partition": partition, "offset": offset}
    source = orjson.dumps({"@timestamp": reject.rejected_at, **reject.model_dump(), **position})
    identity = f"{topic}|{partition}|{offset}"
    return Operation(names.INDEX_REJECTS, identity, source, topic, partition, offset)
