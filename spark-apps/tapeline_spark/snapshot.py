"""Tails on disk and out of the log: what makes the state survive a crash.

A snapshot is taken at the start of a batch, when everything before it is committed, so it never
holds more than the log position that Spark resumes from. What lies between is read again from Kafka.
Losing every snapshot costs one bounded look back into the log.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from tapeline import features, names
from tapeline.access import KafkaAccess

from tapeline_spark.errors import LogTruncated, OutageTooLong
from tapeline_spark.tails import Book, Key, Order, Tail
from tapeline_spark.wire import Record, read

log = logging.getLogger(__name__)

# Stamps in the log follow the trades by the delay of the feed; a minute of it is more than enough.
_LOOK_BACK_MS: Final = features.LOOKBACK_MS + 60_000
_POLL_S: Final = 1.0
_MOST: Final = 10_000
_GIVE_UP_POLLS: Final = 60


class _TailState(msgspec.Struct):
    key: Key
    traded_at_ms: list[int]
    price: list[float]
    quantity: list[float]
    is_buy: list[bool]
    last: Order
    ids: list[str]


class _BookState(msgspec.Struct):
    feature_hash: str
    next_offset: dict[int, int]
    tails: list[_TailState]


def save(book: Book, path: Path) -> None:
    """Write a book so that a crash leaves the old file or the new one, never half of one."""
    tails = [
        _TailState(key, t.traded_at_ms, t.price, t.quantity, t.is_buy, t.last, list(t.ids))
        for key, t in book.tails.items()
    ]
    state = _BookState(features.schema_hash(), book.next_offset, tails)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(msgspec.msgpack.encode(state))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> Book | None:
    """Return the saved book, or None where there is none that these features can use."""
    try:
        state = msgspec.msgpack.decode(path.read_bytes(), type=_BookState)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        log.warning("snapshot unreadable, the log is read instead", extra={"reason": str(error)})
        return None
    if state.feature_hash != features.schema_hash():
        return None
    book = Book()
    book.next_offset = state.next_offset
    for item in state.tails:
        book.tails[item.key] = Tail(
            item.traded_at_ms, item.price, item.quantity, item.is_buy, item.last, dict.fromkeys(item.ids)
        )
    return book


class LogReader:
    """Reads a stretch of the log again, outside of Spark's own reading."""

    def __init__(self, access: KafkaAccess, topic: str) -> None:
        """Prepare; a consumer is made, and its password read, when it is needed."""
        self._access, self._topic = access, topic

    def catch_up(self, book: Book, first: dict[int, int]) -> int:
        """Bring a book up to the offsets at which a batch begins.

        Args:
            book: changed in place; partitions it does not know yet are rebuilt by looking back.
            first: first offset of the batch, by partition.

        Returns:
            How many records were read again.

        Raises:
            AccessRefused: password or authorities cannot be read.
        """
        behind = {p: offset for p, offset in first.items() if book.next_offset.get(p) != offset}
        if not behind:
            return 0
        consumer = self._consumer()
        count = 0
        try:
            for partition, stop in sorted(behind.items()):
                start = self._start(consumer, book, partition, stop)
                records = [r for r in self._read(consumer, partition, start, stop) if isinstance(r, Record)]
                book.admit(records)
                count += stop - start
                book.next_offset[partition] = stop
        finally:
            consumer.close()
        return count

    def _consumer(self) -> Consumer:
        own = {"group.id": names.GROUP_TAILS, "enable.auto.commit": False, "auto.offset.reset": "error"}
        return Consumer({**self._access.librdkafka(), **own})

    def _start(self, consumer: Consumer, book: Book, partition: int, stop: int) -> int:
        known = book.next_offset.get(partition, -1)
        earliest, _ = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=30)
        if 0 <= known <= stop:
            if known < earliest < stop:
                raise LogTruncated(partition, known, earliest)
            return known
        if stop <= earliest:
            return stop
        stamp = self._stamp_at(consumer, partition, stop - 1)
        wanted = TopicPartition(self._topic, partition, max(0, stamp - _LOOK_BACK_MS))
        (found,) = consumer.offsets_for_times([wanted], timeout=30)
        return max(earliest, min(found.offset, stop)) if found.offset != OFFSET_END else stop

    def _stamp_at(self, consumer: Consumer, partition: int, offset: int) -> int:
        for message in self._messages(consumer, partition, offset, offset + 1):
            return int(message.timestamp()[1])
        return 0

    def _read(self, consumer: Consumer, partition: int, start: int, stop: int) -> Iterator[object]:
        for message in self._messages(consumer, partition, start, stop):
            yield read(message.value(), partition, message.offset())

    def _messages(self, consumer: Consumer, partition: int, start: int, stop: int) -> Iterator[Any]:
        consumer.assign([TopicPartition(self._topic, partition, start)])
        position, silent = start, 0
        while position < stop:
            # Asking for more than is left would wait the whole time-out for it.
            messages = consumer.consume(min(_MOST, stop - position), timeout=_POLL_S)
            silent = 0 if messages else silent + 1
            if silent > _GIVE_UP_POLLS:
                raise OutageTooLong("Kafka", silent * _POLL_S, f"no record at offset {position}")
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._ALL_BROKERS_DOWN or error.retriable():
                        continue
                    raise KafkaException(error)
                offset = message.offset()
                if offset is None or offset >= stop:
                    return
                position = offset + 1
                yield message
