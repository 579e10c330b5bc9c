"""Joins the replicas' consumer group and hands shards over without missing a trade.

Kafka's group protocol assigns the partitions of the empty shards topic; no record is ever read from it.
A revoked shard is released after all trades read so far are in the log, and stays subscribed until the next owner
has claimed it (claims.py).
One thread makes all calls of the Kafka client; the listener is called in the event loop's thread.
Source: https://github.com/confluentinc/librdkafka/blob/master/INTRODUCTION.md#consumer-groups
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tapeline.service.connection import InvalidConnection
from tapeline_clients import kafka

from tapeline_producer.errors import FatalKafkaError
from tapeline_producer.settings import Settings
from tapeline_producer.sharding import claims
from tapeline_producer.sharding.claims import ShardClaims

log = logging.getLogger(__name__)

FLUSH_S: Final = 10.0
_POLL_S: Final = 0.1
_CLAIMS_INTERVAL_S: Final = 0.5
_CALL_S: Final = 2.0
# Below max.poll.interval.ms (300 s): without Kafka there is nothing to join before.
_MAX_FLUSH_S: Final = 240.0
_HEARTBEATS_A_SESSION: Final = 6
_CRITICAL: Final = 2


class ShardListener(Protocol):
    """Receives the group's changes of ownership; see SubscriptionCoordinator."""

    def on_assigned(self, shards: Collection[int]) -> None:
        """Add shards to the owned ones."""

    def on_revoked(self, shards: Collection[int]) -> None:
        """Drain shards until another replica claims them."""

    def on_lost(self, shards: Collection[int]) -> None:
        """Keep shards until the group is reachable again."""

    def on_claimed(self, shards: Collection[int]) -> None:
        """Unsubscribe shards that another replica has claimed."""


class GroupMember:
    """One member of the consumer group."""

    def __init__(
        self,
        settings: Settings,
        listener: ShardListener,
        live_shards: deque[set[int]],
        flush: Callable[[float], Coroutine[Any, Any, bool]],
        on_error: Callable[[str], None],
    ) -> None:
        """Prepare; `start` joins.

        Args:
            settings: brokers, group, topic.
            listener: receives the changes, in the event loop's thread.
            live_shards: queue of owned shards whose symbols are all subscribed; this member claims and removes them.
            flush: waits at most so many seconds for Kafka to acknowledge what was read; returns whether it did.
            on_error: receives the reason why the group cannot be joined, in the event loop's thread.
        """
        self._settings = settings
        self._listener = listener
        self._live_shards = live_shards
        self._flush = flush
        self._on_join_error = on_error
        self._loop = asyncio.get_running_loop()
        self._assigned: set[int] = set()
        self._unconfirmed: set[int] = set()
        self._to_claim: set[int] = set()
        self._is_member = False
        self._claims_checked_at = 0.0
        self._last_error = ""
        self._leaving = threading.Event()
        self._aborted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-group", daemon=True)
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the group is left; holds the error if leaving was not requested."""

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    async def leave(self) -> None:
        """Release all shards; return when other replicas have claimed them or no other member exists."""
        self._leaving.set()
        await asyncio.wait([self.ended])

    async def close(self) -> None:
        """Leave without waiting for other replicas."""
        self._aborted.set()
        await self.leave()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._run_consumer()
        except InvalidConnection as invalid:
            error = invalid
        except KafkaException as caught:
            error = FatalKafkaError(caught.args[0].str())
        finally:
            self._call_in_loop(self._finish, error)

    def _finish(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def _options(self) -> dict[str, Any]:
        session_ms = int(self._settings.group_session_s * 1000)
        return {
            "client.id": "tapeline-producer",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // _HEARTBEATS_A_SESSION,
            "on_commit": self._on_commit,
            "error_cb": self._on_error,
            "allow.auto.create.topics": False,
            "topic.metadata.refresh.interval.ms": 10_000,
            "reconnect.backoff.max.ms": 1000,
            # An unreachable broker costs a line at each attempt; trade_writer.py logs it once.
            "log_level": _CRITICAL,
        }

    def _run_consumer(self) -> None:
        consumer = kafka.consumer(self._settings, self._settings.group or "", self._options())
        self._consumer, self._claims = consumer, ShardClaims(consumer, self._settings.topic_shards)
        try:
            topics = [self._settings.topic_shards]
            consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
            while not self._leaving.is_set():
                self._poll_once()
            consumer.unsubscribe()
            self._hand_over()
        finally:
            consumer.close()

    def _poll_once(self) -> bool:
        """Poll the client, and exchange claims when their interval is over; return whether claims were exchanged."""
        message = self._consumer.poll(_POLL_S)
        error = None if message is None else message.error()
        if error is not None:
            self._report_error(error)
        now = time.monotonic()
        if now - self._claims_checked_at < _CLAIMS_INTERVAL_S:
            return False
        self._claims_checked_at = now
        self._claim_live_shards()
        claimed = self._claims.poll_claimed(now)
        if claimed:
            self._call_in_loop(self._listener.on_claimed, claimed)
        return True

    def _hand_over(self) -> None:
        """Poll until other replicas have claimed the released shards."""
        admin = kafka.admin(self._settings, {})
        while not self._aborted.is_set() and (self._assigned or self._claims.awaited_shards):
            has_checked_claims = self._poll_once()
            unclaimed = self._claims.awaited_shards
            if has_checked_claims and unclaimed and not self._assigned and self._is_group_empty(admin):
                log.info("no other replica in the group; releasing shards", extra={"shards": sorted(unclaimed)})
                self._claims.stop_awaiting(unclaimed)
                self._call_in_loop(self._listener.on_claimed, unclaimed)

    def _is_group_empty(self, admin: AdminClient) -> bool:
        group = self._settings.group or ""
        try:
            found = admin.describe_consumer_groups([group], request_timeout=_CALL_S)
            return not found[group].result(_CALL_S).members
        except (KafkaException, FutureTimeoutError) as error:
            log.warning("group members could not be listed: %s", error)
            return False

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # An explicit offset saves the broker a lookup, and a pause the fetching from empty partitions.
        shards = _shard_numbers(partitions)
        assigned = [self._claims.topic_partition(shard) for shard in shards]
        consumer.incremental_assign(assigned)
        if assigned:
            consumer.pause(assigned)
        self._is_member, self._last_error = True, ""
        self._assigned.update(shards)
        self._claims.stop_awaiting(shards)
        reassigned, self._unconfirmed = self._unconfirmed - self._assigned, set()
        self._claims.await_claims(reassigned, time.monotonic() + self._settings.handover_s, is_late=True)
        self._call_in_loop(self._listener.on_assigned, shards)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        shards = _shard_numbers(partitions)
        handover_s = self._settings.handover_s
        if not self._flush_pending(FLUSH_S):
            log.warning("shards released before all trades are in Kafka", extra={"shards": shards})
            # Without Kafka no replica can claim, and a process that is stopping has no time to wait for it.
            handover_s = 0.0 if self._leaving.is_set() else handover_s
        self._claims.await_claims(shards, time.monotonic() + handover_s)
        self._assigned.difference_update(shards)
        self._call_in_loop(self._listener.on_revoked, shards)
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        shards = _shard_numbers(partitions)
        self._is_member = False
        self._unconfirmed.update(shards)
        self._assigned.difference_update(shards)
        self._call_in_loop(self._listener.on_lost, shards)
        # The next owner reads the log first: everything read here must be in the log before this replica rejoins.
        until = time.monotonic() + _MAX_FLUSH_S
        while not self._leaving.is_set() and time.monotonic() < until and not self._flush_pending(1.0):
            pass
        consumer.incremental_unassign(partitions)

    def _flush_pending(self, timeout_s: float) -> bool:
        if self._aborted.is_set():
            return False
        flushing = asyncio.run_coroutine_threadsafe(self._flush(timeout_s), self._loop)
        try:
            return flushing.result(timeout_s + _CALL_S)
        except (FutureTimeoutError, asyncio.CancelledError):
            return False

    def _claim_live_shards(self) -> None:
        while self._live_shards:
            self._to_claim.update(self._live_shards.pop())
        shards, self._to_claim = self._to_claim & self._assigned, set()
        if shards:
            self._claims.claim(shards)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        self._to_claim.update(claims.failed_shards(error, partitions))

    def _report_error(self, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        if not self._is_member:
            self._call_in_loop(self._on_join_error, error.str())
        if error.str() != self._last_error:
            self._last_error = error.str()
            log.error("consumer group error: %s", self._last_error)

    def _on_error(self, error: KafkaError) -> None:
        """Reload the password file: the password may have changed since this client was created."""
        if error.code() != KafkaError._AUTHENTICATION:
            return
        self._report_error(error)
        try:
            user = self._settings.kafka_user()
        except InvalidConnection as invalid:
            log.error("%s", invalid)
            return
        if user is not None:
            self._consumer.set_sasl_credentials(*user)

    def _call_in_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        self._loop.call_soon_threadsafe(callback, *arguments)


def _shard_numbers(partitions: list[TopicPartition]) -> list[int]:
    return [one.partition for one in partitions]
