"""Saves the lookback state to disk and rebuilds it from the log after a crash.

A snapshot is saved at the start of a batch, when everything before it is committed, so it is never ahead of the offsets
that Spark resumes from. The records in between are replayed from Kafka. Losing every snapshot costs one bounded read of
the log.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from tapeline.instrument import Instrument
from tapeline.model import features
from tapeline.service.connection import KafkaConnection
from tapeline.service.files import write_atomically

from tapeline_spark.errors import LogTruncated
from tapeline_spark.kafka.decode import DecodedTrade, TopicPartition, decode_trade
from tapeline_spark.kafka.log_reader import KafkaLog
from tapeline_spark.trades.lookback import Lookback, LookbackState, Order

log = logging.getLogger(__name__)

# Timestamps in the log follow the trades by the feed delay; a minute is more than enough.
_LOOK_BACK_MS: Final = features.LOOKBACK_MS + 60_000

_FORMAT: Final = 2
"""Raised whenever the meaning of the state changes; a file of another format is ignored."""


class _LookbackSnapshot(msgspec.Struct):
    instrument: str
    traded_at_ms: list[int]
    price: list[float]
    quantity: list[float]
    is_buy: list[bool]
    last: Order
    ids: list[str]


class _Header(msgspec.Struct):
    format: int = 0


class _StateSnapshot(msgspec.Struct):
    format: int
    feature_hash: str
    next_offset: list[tuple[str, int, int]]
    lookbacks: list[_LookbackSnapshot]


def save(state: LookbackState, path: Path) -> None:
    """Write a snapshot atomically."""
    lookbacks = [
        _LookbackSnapshot(str(instrument), t.traded_at_ms, t.price, t.quantity, t.is_buy, t.last, list(t.ids))
        for instrument, t in state.lookbacks.items()
    ]
    positions = [(topic, partition, offset) for (topic, partition), offset in state.next_offset.items()]
    stored = _StateSnapshot(_FORMAT, features.schema_hash(), positions, lookbacks)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.msgpack.encode(stored))


def load(path: Path) -> LookbackState | None:
    """Return the saved state, or None if there is none in this format and for these features."""
    try:
        content = path.read_bytes()
        found = msgspec.msgpack.decode(content, type=_Header).format
        if found != _FORMAT:
            log.info("snapshot has another format; replaying the log", extra={"found": found, "wanted": _FORMAT})
            return None
        stored = msgspec.msgpack.decode(content, type=_StateSnapshot)
        return _state(stored) if stored.feature_hash == features.schema_hash() else None
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, ValueError) as error:
        log.warning("snapshot unreadable; replaying the log", extra={"reason": str(error)})
        return None


def _state(stored: _StateSnapshot) -> LookbackState:
    state = LookbackState()
    state.next_offset = {(topic, partition): offset for topic, partition, offset in stored.next_offset}
    for item in stored.lookbacks:
        state.lookbacks[Instrument.parse(item.instrument)] = Lookback(
            item.traded_at_ms, item.price, item.quantity, item.is_buy, item.last, dict.fromkeys(item.ids)
        )
    return state


class LookbackReplay:
    """Replays ranges of the log into a state, independently of Spark's own reading."""

    def __init__(self, connection: KafkaConnection) -> None:
        """Prepare; the consumer is created, and its password read, on first use."""
        self._connection = connection

    def catch_up(self, state: LookbackState, first: dict[TopicPartition, int]) -> int:
        """Bring a state to the offsets at which a batch begins.

        Args:
            state: changed in place; unknown partitions are rebuilt from the lookback window.
            first: first offset of the batch, by topic and partition.

        Returns:
            Number of replayed records.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        behind = {position: stop for position, stop in first.items() if state.next_offset.get(position) != stop}
        if not behind:
            return 0
        count = 0
        with KafkaLog(self._connection) as source:
            for (topic, partition), stop in sorted(behind.items()):
                start = _start(source, state, topic, partition, stop)
                # The whole range first: a read that fails must not leave a part of it in the state.
                state.admit(list(_trades(source, topic, partition, start, stop)))
                count += stop - start
                state.next_offset[topic, partition] = stop
        return count


def _start(source: KafkaLog, state: LookbackState, topic: str, partition: int, stop: int) -> int:
    known = state.next_offset.get((topic, partition), -1)
    if 0 <= known <= stop:
        earliest = source.earliest_offset(topic, partition)
        if known < earliest < stop:
            raise LogTruncated(topic, partition, known, earliest)
        return known
    return source.offset_at_lookback(topic, partition, stop, _LOOK_BACK_MS)


def _trades(source: KafkaLog, topic: str, partition: int, start: int, stop: int) -> Iterator[DecodedTrade]:
    for message in source.messages(topic, partition, start, stop):
        item = decode_trade(message.value(), topic, partition, message.offset())
        if isinstance(item, DecodedTrade):
            yield item
