"""Replays the log between the candle state and Spark's offsets after a crash, in chunks."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tapeline.service.connection import KafkaConnection

from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.listener import LogRow
from tapeline_spark.candles.state import MINUTE_MS, CandleState
from tapeline_spark.errors import LogTruncated
from tapeline_spark.kafka.decode import TopicPartition
from tapeline_spark.kafka.log_reader import KafkaLog

# Timestamps in the log follow the trades by the feed delay, and the first minute is incomplete.
_MARGIN_MINUTES: Final = 5


class OffsetRange(NamedTuple):
    """Offsets of one partition, from start to before stop."""

    topic: str
    partition: int
    start: int
    stop: int


class LogReplay:
    """Finds the records that a state lacks at the beginning of a batch, and reads them."""

    def __init__(self, connection: KafkaConnection, topics_trades: Collection[str], chunk_records: int) -> None:
        """Prepare; the consumer is created, and its password read, on first use.

        Args:
            connection: brokers and credentials.
            topics_trades: topics whose first offsets decide from when minutes are complete.
            chunk_records: most records in a chunk.
        """
        self._connection, self._topics_trades, self._chunk_records = connection, topics_trades, chunk_records

    def plan(self, state: CandleState, first: Mapping[TopicPartition, int]) -> list[OffsetRange]:
        """Return the ranges to replay before a batch, and begin unknown partitions in the state.

        Args:
            state: not ahead of the batch.
            first: where the batch begins, by topic and partition.

        Raises:
            LogTruncated: the log no longer holds a range.
            InvalidConnection: password or authorities cannot be read.
        """
        behind = {partition: stop for partition, stop in first.items() if state.next_offset.get(partition) != stop}
        if not behind:
            return []
        with KafkaLog(self._connection) as source:
            for (topic, partition), stop in behind.items():
                known, earliest = state.next_offset.get((topic, partition)), source.earliest_offset(topic, partition)
                if known is not None and known < earliest < stop:
                    raise LogTruncated(topic, partition, known, earliest)
            span_ms = state.late_ms + (KEPT_MINUTES + _MARGIN_MINUTES) * MINUTE_MS
            for topic, partition in sorted(behind.keys() - state.next_offset.keys()):
                start = source.offset_at_lookback(topic, partition, first[topic, partition], span_ms)
                state.begin_partition(topic, partition, start, with_trades=topic in self._topics_trades)
        return [
            OffsetRange(*partition, state.next_offset[partition], stop) for partition, stop in sorted(behind.items())
        ]

    def read(self, plan: list[OffsetRange]) -> Iterator[list[LogRow]]:
        """Yield the records of a plan in chunks, partition after partition."""
        if not any(offsets.start < offsets.stop for offsets in plan):
            return
        with KafkaLog(self._connection) as source:
            chunk: list[LogRow] = []
            for offsets in plan:
                for message in source.messages(*offsets):
                    chunk.append(_row(message, offsets))
                    if len(chunk) >= self._chunk_records:
                        yield chunk
                        chunk = []
            if chunk:
                yield chunk


def _row(message: Any, offsets: OffsetRange) -> LogRow:
    key, value = message.key(), message.value()
    text = None if key is None else key.decode(errors="replace")
    timestamp = int(message.timestamp()[1])
    return LogRow(offsets.topic, offsets.partition, message.offset(), text, value, timestamp)
