"""The alerts as they lie in Kafka, and how far they are done with.

No group is joined: one process reads, and after a kill the next one shall not wait until the dead one is given up.
The group's name only keeps the place. Blocks: call it in a thread, and in one at a time.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, TopicPartition

from tapeline_notifier.errors import KafkaUnreachable, TopicMissing
from tapeline_notifier.settings import Settings

log = logging.getLogger(__name__)

_POLL_S: Final = 0.25
_CALL_S: Final = 5.0
_AT_ONCE: Final = 500
_CRITICAL: Final = 2


class Read(NamedTuple):
    """One record and where it stood."""

    partition: int
    offset: int
    value: bytes | None


class Intake:
    """Reads every partition of the topic, from where the group's place is."""

    def __init__(self, settings: Settings) -> None:
        """Make the client; it connects by itself.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings = settings
        self._heard = ""
        own: dict[str, Any] = {
            "client.id": "tapeline-notifier",
            "group.id": settings.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "reconnect.backoff.max.ms": 1000,
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
            # A broker that is away costs a line at each attempt, and `check` tells of it.
            "log_level": _CRITICAL,
        }
        self._consumer = Consumer({**settings.librdkafka(), **own}, logger=logging.getLogger("librdkafka"))
        self._partitions: set[int] = set()
        self._uncommitted: dict[int, int] = {}
        self._committed_at = float("-inf")

    def check(self) -> None:
        """See that the topic is there, and begin to read partitions that are new.

        Raises:
            KafkaUnreachable: no broker answered, or none took us for who we say we are.
            TopicMissing: the topic does not exist.
            InvalidConnection: the password cannot be read any more.
        """
        topic = self._settings.topic_alerts
        try:
            found = self._consumer.list_topics(topic, timeout=_CALL_S).topics
        except KafkaException as error:
            user = self._settings.kafka_user()
            if user is not None:
                self._consumer.set_sasl_credentials(*user)
            raise KafkaUnreachable(self._settings.kafka_bootstrap, self._heard or error.args[0].str()) from error
        described = found.get(topic)
        if described is None or described.error is not None:
            raise TopicMissing(topic, self._settings.kafka_bootstrap)
        new = sorted(set(described.partitions) - self._partitions)
        if new:
            self._consumer.incremental_assign([TopicPartition(topic, number, OFFSET_STORED) for number in new])
            self._partitions.update(new)

    def read(self) -> list[Read]:
        """Return the next records, after a moment at most; empty while Kafka is away."""
        if not self._partitions:
            return []
        records = []
        for message in self._consumer.consume(_AT_ONCE, timeout=_POLL_S):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None:
                self._on_error(error)
            elif partition is not None and offset is not None:
                records.append(Read(partition, offset, message.value()))
        return records

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Note, by partition, the next offset that a later process shall read; repeated until Kafka has it.

        Never waits: while Kafka is away, what was read is sent all the same.
        """
        self._uncommitted.update(offsets)
        now = time.monotonic()
        if not self._uncommitted or (not offsets and now - self._committed_at < _CALL_S):
            return
        self._committed_at = now
        topic = self._settings.topic_alerts
        places = [TopicPartition(topic, partition, offset) for partition, offset in self._uncommitted.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            log.warning("the place in the topic could not be noted", extra={"reason": error.args[0].str()})

    def close(self) -> None:
        """Wait a moment for Kafka to have noted the place, and let go of all connections."""
        deadline = time.monotonic() + _CALL_S
        while self._uncommitted and time.monotonic() < deadline:
            # Serves the answers; what it may bring is not done with and is read again later.
            self._consumer.poll(_POLL_S)
        self._consumer.close()

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        for place in places:
            failed = error or place.error
            if failed is not None:
                log.warning("the place in the topic could not be noted", extra={"reason": failed.str()})
            elif self._uncommitted.get(place.partition) == place.offset:
                del self._uncommitted[place.partition]

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            # The call that fails says only that it did; the rest of this is how long it took.
            self._heard = error.str().partition(" (after ")[0]
