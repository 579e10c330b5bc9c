"""What is under way to Kafka: a record with what is to happen once it is there, and how many of them there are."""

from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, Message

Delivered = Callable[[KafkaError | None, Message], None]


class Span:
    """Counts of the records between two flushes; each number is written by one thread only."""

    def __init__(self) -> None:
        self.given = self.delivered = self.given_up = 0

    @property
    def is_settled(self) -> bool:
        """Whether every record has got where it can get."""
        return self.delivered + self.given_up >= self.given


class Record(NamedTuple):
    """A record that Kafka has not acknowledged."""

    topic: str
    key: bytes | None
    value: bytes
    delivered: Delivered
    span: Span
