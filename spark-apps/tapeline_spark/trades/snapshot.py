"""Saves the lookback state to disk and rebuilds it from the log after a crash.

A snapshot is saved at the start of a batch, when everything before it is committed, so it is never ahead of the offsets
that Spark resumes from. The records in between are replayed from Kafka. Losing every snapshot costs one bounded read of
the log.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from tapeline.model import features
from tapeline.service.connection import KafkaConnection

from tapeline_spark.errors import LogTruncated
from tapeline_spark.kafka.decode import DecodedTrade, decode_trade
from tapeline_spark.kafka.log_reader import KafkaLog
from tapeline_spark.trades.lookback import Key, Lookback, LookbackState, Order

log = logging.getLogger(__name__)

# Timestamps in the log follow the trades by the feed delay; a minute is more than enough.
_LOOK_BACK_MS: Final = features.LOOKBACK_MS + 60_000


class _LookbackSnapshot(msgspec.Struct):
    key: Key
    traded_at_ms: list[int]
    price: list[float]
    quantity: list[float]
    is_buy: list[bool]
    last: Order
    ids: list[str]


class _StateSnapshot(msgspec.Struct):
    feature_hash: str
    next_offset: dict[int, int]
    lookbacks: list[_LookbackSnapshot]


def save(state: LookbackState, path: Path) -> None:
    """Write a snapshot atomically."""
    lookbacks = [
        _LookbackSnapshot(key, t.traded_at_ms, t.price, t.quantity, t.is_buy, t.last, list(t.ids))
        for key, t in state.lookbacks.items()
    ]
    stored = _StateSnapshot(features.schema_hash(), state.next_offset, lookbacks)
    write_whole(path, msgspec.msgpack.encode(stored))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: a crash leaves the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> LookbackState | None:
    """Return the saved state, or None if there is none for these features."""
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=_StateSnapshot)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        log.warning("snapshot unreadable; replaying the log", extra={"reason": str(error)})
        return None
    if stored.feature_hash != features.schema_hash():
        return None
    state = LookbackState()
    state.next_offset = stored.next_offset
    for item in stored.lookbacks:
        state.lookbacks[item.key] = Lookback(
            item.traded_at_ms, item.price, item.quantity, item.is_buy, item.last, dict.fromkeys(item.ids)
        )
    return state


class LookbackReplay:
    """Replays a range of the log into a state, independently of Spark's own reading."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        """Prepare; the consumer is created, and its password read, on first use."""
        self._connection, self._topic = connection, topic

    def catch_up(self, state: LookbackState, first: dict[int, int]) -> int:
        """Bring a state to the offsets at which a batch begins.

        Args:
            state: changed in place; unknown partitions are rebuilt from the lookback window.
            first: first offset of the batch, by partition.

        Returns:
            Number of replayed records.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        behind = {p: offset for p, offset in first.items() if state.next_offset.get(p) != offset}
        if not behind:
            return 0
        count = 0
        with KafkaLog(self._connection) as source:
            for partition, stop in sorted(behind.items()):
                start = self._start(source, state, partition, stop)
                records = [r for r in self._read(source, partition, start, stop) if isinstance(r, DecodedTrade)]
                state.admit(records)
                count += stop - start
                state.next_offset[partition] = stop
        return count

    def _start(self, source: KafkaLog, state: LookbackState, partition: int, stop: int) -> int:
        known = state.next_offset.get(partition, -1)
        if 0 <= known <= stop:
            earliest = source.earliest_offset(self._topic, partition)
            if known < earliest < stop:
                raise LogTruncated(partition, known, earliest)
            return known
        return source.offset_at_lookback(self._topic, partition, stop, _LOOK_BACK_MS)

    def _read(self, source: KafkaLog, partition: int, start: int, stop: int) -> Iterator[object]:
        for message in source.messages(self._topic, partition, start, stop):
            yield decode_trade(message.value(), partition, message.offset())
