"""The log between the state and Spark's own position, read again after a crash, in pieces."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tapeline.service.connection import KafkaConnection

from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.listener import LogRow
from tapeline_spark.candles.state import MINUTE_MS, Book
from tapeline_spark.errors import LogTruncated
from tapeline_spark.kafka.log_reader import KafkaLog

Place = tuple[str, int]
"""(topic, partition)"""
# Stamps in the log follow the trades by the delay of the feed, and the first minute is not whole.
_MARGIN_MINUTES: Final = 5


class Stretch(NamedTuple):
    """Offsets of one partition, from start to before stop."""

    topic: str
    partition: int
    start: int
    stop: int


class Rereader:
    """Finds out what a book lacks where a batch begins, and reads it."""

    def __init__(self, access: KafkaConnection, topic_trades: str, piece: int) -> None:
        """Prepare; a consumer is made, and its password read, when it is needed.

        Args:
            access: brokers, and who we are to them.
            topic_trades: the topic whose beginning matters.
            piece: records in one piece at most.
        """
        self._access, self._topic_trades, self._piece = access, topic_trades, piece

    def plan(self, book: Book, first: Mapping[Place, int]) -> list[Stretch]:
        """Return what must be read before a batch, and let the book begin where it knows nothing.

        Args:
            book: not ahead of the batch.
            first: first offset of the batch, by topic and partition.

        Raises:
            LogTruncated: the log no longer holds what is between.
            InvalidConnection: password or authorities cannot be read.
        """
        behind = {place: stop for place, stop in first.items() if book.next_offset.get(place) != stop}
        if not behind:
            return []
        with KafkaLog(self._access) as source:
            for (topic, partition), stop in behind.items():
                known, earliest = book.next_offset.get((topic, partition)), source.earliest(topic, partition)
                if known is not None and known < earliest < stop:
                    raise LogTruncated(partition, known, earliest)
            span_ms = book.late_ms + (KEPT_MINUTES + _MARGIN_MINUTES) * MINUTE_MS
            for topic, partition in sorted(behind.keys() - book.next_offset.keys()):
                start = source.look_back(topic, partition, first[topic, partition], span_ms)
                book.begin(topic, partition, start, with_trades=topic == self._topic_trades)
        return [Stretch(*place, book.next_offset[place], stop) for place, stop in sorted(behind.items())]

    def read(self, plan: list[Stretch]) -> Iterator[list[LogRow]]:
        """Yield the records of a plan in pieces, partition after partition."""
        if not any(stretch.start < stretch.stop for stretch in plan):
            return
        with KafkaLog(self._access) as source:
            piece: list[LogRow] = []
            for stretch in plan:
                for message in source.messages(*stretch):
                    piece.append(_row(message, stretch))
                    if len(piece) >= self._piece:
                        yield piece
                        piece = []
            if piece:
                yield piece


def _row(message: Any, stretch: Stretch) -> LogRow:
    key, value = message.key(), message.value()
    text = None if key is None else key.decode(errors="replace")
    stamp = int(message.timestamp()[1])
    return LogRow(stretch.topic, stretch.partition, message.offset(), text, value, stamp)
