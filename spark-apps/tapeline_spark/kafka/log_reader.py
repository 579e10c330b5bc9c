"""Reads a stretch of the log again, outside of Spark's own reading."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from tapeline import names
from tapeline.service.connection import KafkaConnection

from tapeline_spark.errors import OutageTooLong

_POLL_S: Final = 1.0
_MOST: Final = 10_000
_GIVE_UP_POLLS: Final = 60
_TIMEOUT_S: Final = 30.0


class KafkaLog:
    """A consumer for the length of a `with`; it commits nothing."""

    def __init__(self, access: KafkaConnection) -> None:
        """Make the consumer.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        own = {"group.id": names.GROUP_LOOKBACK, "enable.auto.commit": False, "auto.offset.reset": "error"}
        self._consumer = Consumer({**access.librdkafka(), **own})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the consumer."""
        self._consumer.close()

    def earliest(self, topic: str, partition: int) -> int:
        """Return the first offset that is still there."""
        earliest, _ = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        return int(earliest)

    def look_back(self, topic: str, partition: int, stop: int, span_ms: int) -> int:
        """Return the first offset whose stamp is at most `span_ms` older than that of the last one before `stop`."""
        earliest = self.earliest(topic, partition)
        if stop <= earliest:
            return stop
        stamp = self._stamp_at(topic, partition, stop - 1)
        wanted = TopicPartition(topic, partition, max(0, stamp - span_ms))
        (found,) = self._consumer.offsets_for_times([wanted], timeout=_TIMEOUT_S)
        return max(earliest, min(found.offset, stop)) if found.offset != OFFSET_END else stop

    def messages(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Any]:
        """Yield the messages from start to before stop.

        Raises:
            OutageTooLong: Kafka gives none of them for a minute.
            KafkaException: it refuses to.
        """
        self._consumer.assign([TopicPartition(topic, partition, start)])
        position, silent = start, 0
        while position < stop:
            # Asking for more than is left would wait the whole time-out for it.
            messages = self._consumer.consume(min(_MOST, stop - position), timeout=_POLL_S)
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

    def _stamp_at(self, topic: str, partition: int, offset: int) -> int:
        for message in self.messages(topic, partition, offset, offset + 1):
            return int(message.timestamp()[1])
        return 0
