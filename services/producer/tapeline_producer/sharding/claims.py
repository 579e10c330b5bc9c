"""Reads and writes shard claims: which member of the group has subscribed a shard.

A claim is the metadata of a committed offset; the offset itself has no meaning. Kafka accepts the commit only from
the owner of the partition. The former owner of a shard polls for a claim that did not exist before.
Use it from the thread of the Kafka client only; no call blocks longer than 2 s.
"""

import logging
import time
import uuid
from collections.abc import Collection
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)

_CALL_S: Final = 2.0


class _AwaitedClaim(NamedTuple):
    """The claim of a shard at the time of its release, and until when (loop time, s) a new claim is awaited."""

    previous: str
    until: float


class ShardClaims:
    """The claims of one member, and the released shards whose next claim it awaits."""

    def __init__(self, consumer: Consumer, topic: str) -> None:
        """Start without a claim.

        Args:
            consumer: a member of the group.
            topic: topic whose partitions are the shards.
        """
        self._consumer = consumer
        self._topic = topic
        self._member_id = uuid.uuid4().hex[:12]
        self._awaited: dict[int, _AwaitedClaim] = {}

    @property
    def awaited_shards(self) -> list[int]:
        """The released shards that no other member has claimed yet."""
        return list(self._awaited)

    def topic_partition(self, shard: int, metadata: str = "") -> TopicPartition:
        """Return the partition of a shard, at offset 0."""
        return TopicPartition(self._topic, shard, 0, metadata)

    def claim(self, shards: Collection[int]) -> None:
        """Commit claims asynchronously; the client's `on_commit` receives the result."""
        metadata = f"{self._member_id} {time.time_ns()}"
        self._consumer.commit(offsets=[self.topic_partition(shard, metadata) for shard in shards], asynchronous=True)

    def await_claims(self, shards: Collection[int], until: float, is_late: bool = False) -> None:
        """Start to poll for other members' claims of released shards.

        Args:
            shards: released shards.
            until: deadline, loop time, s.
            is_late: another member may have claimed already: any foreign claim counts as new.
        """
        found = {} if is_late else self._read(shards)
        self._awaited.update((shard, _AwaitedClaim(found.get(shard, ""), until)) for shard in shards)

    def stop_awaiting(self, shards: Collection[int]) -> None:
        """Stop to poll for claims of these shards."""
        for shard in shards:
            self._awaited.pop(shard, None)

    def poll_claimed(self, now: float) -> list[int]:
        """Return the released shards that another member has claimed since the last call."""
        self._awaited = {shard: awaited for shard, awaited in self._awaited.items() if now < awaited.until}
        found = self._read(self._awaited)
        claimed = [
            shard for shard, awaited in self._awaited.items() if self._is_new(awaited.previous, found.get(shard))
        ]
        self.stop_awaiting(claimed)
        return claimed

    def _is_new(self, previous: str, claim: str | None) -> bool:
        return bool(claim) and claim != previous and not str(claim).startswith(self._member_id)

    def _read(self, shards: Collection[int]) -> dict[int, str]:
        if not shards:
            return {}
        try:
            found = self._consumer.committed([self.topic_partition(shard) for shard in shards], timeout=_CALL_S)
        except KafkaException as error:
            log.warning("shard claims could not be read: %s", error)
            return {}
        return {one.partition: one.metadata or "" for one in found if one.error is None}


def failed_shards(error: KafkaError | None, partitions: list[TopicPartition]) -> list[int]:
    """Return the shards whose claim was not committed, from the arguments of `on_commit`."""
    return [one.partition for one in partitions if error is not None or one.error is not None]
