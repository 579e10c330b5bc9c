"""Tails on disk and out of the log: what makes the state survive a crash.

A snapshot is taken at the start of a batch, when everything before it is committed, so it never
holds more than the log position that Spark resumes from. What lies between is read again from Kafka.
Losing every snapshot costs one bounded look back into the log.
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
from tapeline_spark.kafka.decode import Record, read
from tapeline_spark.kafka.log_reader import KafkaLog
from tapeline_spark.trades.lookback import Book, Key, Order, Tail

log = logging.getLogger(__name__)

# Stamps in the log follow the trades by the delay of the feed; a minute of it is more than enough.
_LOOK_BACK_MS: Final = features.LOOKBACK_MS + 60_000


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
    """Write a book, whole or not at all."""
    tails = [
        _TailState(key, t.traded_at_ms, t.price, t.quantity, t.is_buy, t.last, list(t.ids))
        for key, t in book.tails.items()
    ]
    state = _BookState(features.schema_hash(), book.next_offset, tails)
    write_whole(path, msgspec.msgpack.encode(state))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(content)
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

    def __init__(self, access: KafkaConnection, topic: str) -> None:
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
            InvalidConnection: password or authorities cannot be read.
        """
        behind = {p: offset for p, offset in first.items() if book.next_offset.get(p) != offset}
        if not behind:
            return 0
        count = 0
        with KafkaLog(self._access) as source:
            for partition, stop in sorted(behind.items()):
                start = self._start(source, book, partition, stop)
                records = [r for r in self._read(source, partition, start, stop) if isinstance(r, Record)]
                book.admit(records)
                count += stop - start
                book.next_offset[partition] = stop
        return count

    def _start(self, source: KafkaLog, book: Book, partition: int, stop: int) -> int:
        known = book.next_offset.get(partition, -1)
        if 0 <= known <= stop:
            earliest = source.earliest(self._topic, partition)
            if known < earliest < stop:
                raise LogTruncated(partition, known, earliest)
            return known
        return source.look_back(self._topic, partition, stop, _LOOK_BACK_MS)

    def _read(self, source: KafkaLog, partition: int, start: int, stop: int) -> Iterator[object]:
        for message in source.messages(self._topic, partition, start, stop):
            yield read(message.value(), partition, message.offset())
