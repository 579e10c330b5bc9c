"""Records in delivery to Kafka, and barriers that tell when all records before a flush are delivered."""

from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, Message

DeliveryCallback = Callable[[KafkaError | None, Message], None]


class FlushBarrier:
    """Counts the records between two flushes; each number is written by one thread only."""

    def __init__(self) -> None:
        self.enqueued = self.delivered = self.discarded = 0

    @property
    def is_complete(self) -> bool:
        """Whether every record is delivered or discarded."""
        return self.delivered + self.discarded >= self.enqueued


class PendingRecord(NamedTuple):
    """A record that Kafka has not acknowledged."""

    topic: str
    key: bytes | None
    value: bytes
    on_delivery: DeliveryCallback
    barrier: FlushBarrier
