"""Reads a range of the log again, independently of Spark's own reading."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, TopicPartition
from tapeline import names
from tapeline.service.connection import KafkaConnection
from tapeline_clients import kafka

from tapeline_spark.errors import OutageTooLong

_POLL_S: Final = 1.0
_MAX_MESSAGES: Final = 10_000
_MAX_EMPTY_POLLS: Final = 60
_TIMEOUT_S: Final = 30.0


class KafkaLog:
    """A consumer as a context manager; it commits nothing."""

    def __init__(self, connection: KafkaConnection) -> None:
        """Create the consumer.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._consumer = kafka.consumer(connection, names.GROUP_LOOKBACK, {"auto.offset.reset": "error"})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the consumer."""
        self._consumer.close()

    def earliest_offset(self, topic: str, partition: int) -> int:
        """Return the earliest offset that Kafka still holds."""
        earliest, _ = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        return int(earliest)

    def offset_at_lookback(self, topic: str, partition: int, stop: int, span_ms: int) -> int:
        """Return the first offset at most `span_ms` older than the last record before `stop`, by timestamp."""
        earliest = self.earliest_offset(topic, partition)
        if stop <= earliest:
            return stop
        timestamp = self._timestamp_at(topic, partition, stop - 1)
        start = TopicPartition(topic, partition, max(0, timestamp - span_ms))
        (found,) = self._consumer.offsets_for_times([start], timeout=_TIMEOUT_S)
        return max(earliest, min(found.offset, stop)) if found.offset != OFFSET_END else stop

    def messages(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Any]:
        """Yield the messages from start to before stop.

        Raises:
            OutageTooLong: Kafka returns no record for a minute.
            KafkaException: Kafka refuses the read.
        """
        self._consumer.assign([TopicPartition(topic, partition, start)])
        position, empty_polls = start, 0
        while position < stop:
            # Requesting more than is left would wait for the whole timeout.
            messages = self._consumer.consume(min(_MAX_MESSAGES, stop - position), timeout=_POLL_S)
            empty_polls = 0 if messages else empty_polls + 1
            if empty_polls > _MAX_EMPTY_POLLS:
                raise OutageTooLong("Kafka", empty_polls * _POLL_S, f"no record at offset {position}")
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

    def _timestamp_at(self, topic: str, partition: int, offset: int) -> int:
        for message in self.messages(topic, partition, offset, offset + 1):
            return int(message.timestamp()[1])
        return 0
