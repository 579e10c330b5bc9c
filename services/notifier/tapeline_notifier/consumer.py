"""Reads the alerts topic and commits offsets.

Assigns partitions itself instead of joining the consumer group: only one process reads, and after a kill the next
process must not wait for a session timeout. The group only stores offsets. Blocks: call from one thread at a time.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from tapeline_clients import kafka

from tapeline_notifier.errors import KafkaUnreachable, TopicMissing
from tapeline_notifier.offset_tracker import Partition
from tapeline_notifier.settings import Settings

log = logging.getLogger(__name__)

_POLL_S: Final = 0.25
_TIMEOUT_S: Final = 5.0
_MAX_RECORDS: Final = 500
_CRITICAL: Final = 2


class ConsumedRecord(NamedTuple):
    """One record with its partition and offset."""

    partition: Partition
    offset: int
    value: bytes | None


class AlertConsumer:
    """Reads every partition of the topic, starting at the group's committed offsets."""

    def __init__(self, settings: Settings) -> None:
        """Create the client; it connects in the background.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings = settings
        self._last_error = ""
        own: dict[str, Any] = {
            "client.id": "tapeline-notifier",
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "reconnect.backoff.max.ms": 1000,
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
            # librdkafka logs each attempt to reach a broker; `check` reports an unreachable broker.
            "log_level": _CRITICAL,
        }
        self._consumer = kafka.consumer(settings, settings.group, own)
        self._partitions: set[Partition] = set()
        self._uncommitted: dict[Partition, int] = {}
        self._committed_at = float("-inf")

    def check(self) -> None:
        """Check that the topic exists, and assign new partitions.

        Raises:
            KafkaUnreachable: no broker answered, authentication failed, or the committed offsets cannot be read.
            TopicMissing: the topic does not exist.
            InvalidConnection: the password file cannot be read.
        """
        topic = self._settings.topic_alerts
        try:
            found = self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            user = self._settings.kafka_user()
            if user is not None:
                self._consumer.set_sasl_credentials(*user)
            raise self._unreachable(error.args[0]) from error
        described = found.get(topic)
        if described is None or described.error is not None:
            raise TopicMissing(topic, self._settings.kafka_bootstrap)
        new = sorted({Partition(topic, number) for number in described.partitions} - self._partitions)
        if new:
            self._consumer.incremental_assign(self._starts(new))
            self._partitions.update(new)

    def _starts(self, partitions: list[Partition]) -> list[TopicPartition]:
        """Return where to start reading: the committed offset, or the oldest record where none is committed.

        librdkafka can look the offsets up by itself, but gives up for good when the coordinator of the group has just
        moved or is being elected, and then nothing is ever read.

        Raises:
            KafkaUnreachable: the offsets cannot be read now.
        """
        try:
            found = self._consumer.committed([TopicPartition(*each) for each in partitions], timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise self._unreachable(error.args[0]) from error
        failed = next((each.error for each in found if each.error is not None), None)
        if failed is not None:
            raise self._unreachable(failed)
        return [
            TopicPartition(each.topic, each.partition, each.offset if each.offset >= 0 else OFFSET_BEGINNING)
            for each in found
        ]

    def _unreachable(self, error: KafkaError) -> KafkaUnreachable:
        # An error of librdkafka itself, such as a timeout, gives no cause; one of the broker does.
        cause = self._last_error if error.code() < 0 else ""
        return KafkaUnreachable(self._settings.kafka_bootstrap, cause or error.str())

    def read(self) -> list[ConsumedRecord]:
        """Return the next records, after at most _POLL_S; empty while no partition is assigned or no broker answers.

        Called also before the first assignment: only here the reason comes out why a group cannot be read.
        """
        records = []
        for message in self._consumer.consume(_MAX_RECORDS, timeout=_POLL_S):
            error, topic, number, offset = message.error(), message.topic(), message.partition(), message.offset()
            if error is not None:
                self._on_error(error)
                log.warning("reading alerts failed; it is tried again", extra={"reason": error.str()})
            elif topic is not None and number is not None and offset is not None:
                records.append(ConsumedRecord(Partition(topic, number), offset, message.value()))
        return records

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit, by partition, the next offset to read; repeated until Kafka acknowledges.

        Never blocks: alerts are sent even while Kafka is unreachable.
        """
        self._uncommitted.update(offsets)
        now = time.monotonic()
        if not self._uncommitted or (not offsets and now - self._committed_at < _TIMEOUT_S):
            return
        self._committed_at = now
        positions = [TopicPartition(*partition, offset) for partition, offset in self._uncommitted.items()]
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            log.warning("offset commit failed", extra={"reason": error.args[0].str()})

    def close(self) -> None:
        """Wait up to _TIMEOUT_S for pending commits, then close all connections."""
        deadline = time.monotonic() + _TIMEOUT_S
        while self._uncommitted and time.monotonic() < deadline:
            # Serves commit callbacks; a record that arrives here stays uncommitted and is read again later.
            self._consumer.poll(_POLL_S)
        self._consumer.close()

    def _on_commit(self, error: KafkaError | None, positions: list[TopicPartition]) -> None:
        for position in positions:
            failed = error or position.error
            if failed is not None:
                log.warning("offset commit failed", extra={"reason": failed.str()})
                continue
            partition = Partition(position.topic, position.partition)
            if self._uncommitted.get(partition) == position.offset:
                del self._uncommitted[partition]

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            # The failing call gives no cause. The text after "(after" is the duration.
            self._last_error = error.str().partition(" (after ")[0]
