"""Notes of the group's members at its partitions: who follows a share now.

A note is the metadata of an offset that a member commits; the offset itself means nothing. Kafka takes it from
the owner of the partition only. Whoever gave the share up looks for a note that was not there before.
Use it from the thread of the Kafka client only; nothing waits longer than some seconds.
"""

import logging
import time
import uuid
from collections.abc import Collection
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)

_CALL_S: Final = 2.0


class _Parting(NamedTuple):
    """The note at a share when it was given up, and until when (loop time, s) another one is looked for."""

    note: str
    until: float


class Notes:
    """What one member wrote, and what it waits for."""

    def __init__(self, consumer: Consumer, topic: str) -> None:
        """Start with nothing written.

        Args:
            consumer: a member of the group.
            topic: whose partitions are the shares.
        """
        self._consumer = consumer
        self._topic = topic
        self._name = uuid.uuid4().hex[:12]
        self._partings: dict[int, _Parting] = {}

    @property
    def awaited(self) -> list[int]:
        """The shares given up that nobody is known to follow yet."""
        return list(self._partings)

    def place(self, share: int, note: str = "") -> TopicPartition:
        """Return a share as the Kafka client names it."""
        return TopicPartition(self._topic, share, 0, note)

    def write(self, shares: Collection[int]) -> None:
        """Write that shares are followed here; whether that worked comes to the client's `on_commit`."""
        note = f"{self._name} {time.time_ns()}"
        self._consumer.commit(offsets=[self.place(share, note) for share in shares], asynchronous=True)

    def part(self, shares: Collection[int], until: float, is_late: bool = False) -> None:
        """Begin to look for others' notes at shares that are given up.

        Args:
            shares: which.
            until: how long, loop time, s.
            is_late: whether another may have written already: then any note but ours is taken for new.
        """
        found = {} if is_late else self._read(shares)
        self._partings.update((share, _Parting(found.get(share, ""), until)) for share in shares)

    def stay(self, shares: Collection[int]) -> None:
        """Look no more for notes at these shares."""
        for share in shares:
            self._partings.pop(share, None)

    def newly_taken(self, now: float) -> list[int]:
        """Return the shares given up that another member follows now; each of them once."""
        self._partings = {share: parting for share, parting in self._partings.items() if now < parting.until}
        found = self._read(self._partings)
        taken = [share for share, parting in self._partings.items() if self._is_new(parting.note, found.get(share))]
        self.stay(taken)
        return taken

    def _is_new(self, before: str, note: str | None) -> bool:
        return bool(note) and note != before and not str(note).startswith(self._name)

    def _read(self, shares: Collection[int]) -> dict[int, str]:
        if not shares:
            return {}
        try:
            found = self._consumer.committed([self.place(share) for share in shares], timeout=_CALL_S)
        except KafkaException as error:
            log.warning("the notes of the group could not be read: %s", error)
            return {}
        return {one.partition: one.metadata or "" for one in found if one.error is None}


def failed(error: KafkaError | None, places: list[TopicPartition]) -> list[int]:
    """Return the shares whose note was not written, from what `on_commit` is given."""
    return [one.partition for one in places if error is not None or one.error is not None]
