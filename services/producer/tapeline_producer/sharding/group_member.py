"""Membership in the replicas' consumer group: which shares are ours, and how they change hands without a hole.

Kafka's group protocol deals out the partitions of the empty assignments topic; nothing is ever read from it.
A share is given up only when all trades read so far are in the log, and is followed further until the next owner
has written a note at its partition (the metadata of a committed offset) that it follows the share now.
All calls of the Kafka client come from one thread; roster.py is told in the event loop's.
Source: https://github.com/confluentinc/librdkafka/blob/master/INTRODUCTION.md#consumer-groups
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tapeline.service.connection import InvalidConnection

from tapeline_producer.errors import FatalKafkaError
from tapeline_producer.settings import Settings
from tapeline_producer.sharding import claims
from tapeline_producer.sharding.claims import Notes

log = logging.getLogger(__name__)

FLUSH_S: Final = 10.0
_POLL_S: Final = 0.1
_NOTES_S: Final = 0.5
_CALL_S: Final = 2.0
# Below the 300 s after which the client takes its user for dead: without Kafka there is nothing to join before.
_LONGEST_FLUSH_S: Final = 240.0
_HEARTBEATS_A_SESSION: Final = 6
_CRITICAL: Final = 2


class Listener(Protocol):
    """Who is told what the group says; see Roster."""

    def assigned(self, shares: Collection[int]) -> None:
        """Take shares."""

    def revoked(self, shares: Collection[int]) -> None:
        """Go on with shares until another replica has taken them up."""

    def lost(self, shares: Collection[int]) -> None:
        """Go on with shares until the group is heard again."""

    def taken(self, shares: Collection[int]) -> None:
        """Let go of shares."""


class Membership:
    """One member of the group."""

    def __init__(
        self,
        settings: Settings,
        listener: Listener,
        flush: Callable[[float], Coroutine[Any, Any, bool]],
        trouble: Callable[[str], None],
    ) -> None:
        """Prepare; `start` joins.

        Args:
            settings: brokers, group, topic.
            listener: told about shares, in the event loop's thread.
            flush: waits so many seconds for Kafka to have all that was read, and says whether it has.
            trouble: told why the group cannot be joined, in the event loop's thread.
        """
        self._settings = settings
        self._listener = listener
        self._flush = flush
        self._trouble = trouble
        self._loop = asyncio.get_running_loop()
        self._given: set[int] = set()
        self._doubtful: set[int] = set()
        self._to_note: set[int] = set()
        self._taken_up: list[set[int]] = []
        self._is_member = False
        self._looked_at = 0.0
        self._told = ""
        self._leaving = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-group", daemon=True)
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the group is left, with the error if that was not asked for."""

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    def taken_up(self, shares: set[int]) -> None:
        """Tell the other replicas that shares are followed here now."""
        self._taken_up.append(shares)

    async def leave(self) -> None:
        """Give all shares up, and return when others follow them or nobody is left who could."""
        self._leaving.set()
        await asyncio.wait([self.ended])

    async def close(self) -> None:
        """End without waiting for anybody."""
        self._abandoned.set()
        await self.leave()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._take_part()
        except InvalidConnection as refusal:
            error = refusal
        except KafkaException as caught:
            error = FatalKafkaError(caught.args[0].str())
        finally:
            self._tell(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def _configuration(self) -> dict[str, Any]:
        session_ms = int(self._settings.group_session_s * 1000)
        return {
            **self._settings.librdkafka(),
            "client.id": "tapeline-producer",
            "group.id": self._settings.group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // _HEARTBEATS_A_SESSION,
            "enable.auto.commit": False,
            "on_commit": self._on_noted,
            "error_cb": self._on_error,
            "allow.auto.create.topics": False,
            "topic.metadata.refresh.interval.ms": 10_000,
            "reconnect.backoff.max.ms": 1000,
            # A broker that is away costs a line at each attempt, and publish.py tells of it once.
            "log_level": _CRITICAL,
        }

    def _take_part(self) -> None:
        consumer = Consumer(self._configuration(), logger=logging.getLogger("librdkafka"))
        self._consumer, self._notes = consumer, Notes(consumer, self._settings.topic_assignments)
        try:
            topics = [self._settings.topic_assignments]
            consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
            while not self._leaving.is_set():
                self._turn()
            consumer.unsubscribe()
            self._part()
        finally:
            consumer.close()

    def _turn(self) -> bool:
        """Serve the client, and the notes if it is time; return whether it was."""
        message = self._consumer.poll(_POLL_S)
        error = None if message is None else message.error()
        if error is not None:
            self._complain(error)
        now = time.monotonic()
        if now - self._looked_at < _NOTES_S:
            return False
        self._looked_at = now
        self._write_notes()
        taken = self._notes.newly_taken(now)
        if taken:
            self._tell(self._listener.taken, taken)
        return True

    def _part(self) -> None:
        """Stay until others have taken up what we had."""
        admin = AdminClient({**self._settings.librdkafka()}, logger=logging.getLogger("librdkafka"))
        while not self._abandoned.is_set() and (self._given or self._notes.awaited):
            has_looked = self._turn()
            left = self._notes.awaited
            if has_looked and left and not self._given and self._is_alone(admin):
                log.info("nobody is left to take over from this replica")
                self._notes.stay(left)
                self._tell(self._listener.taken, left)

    def _is_alone(self, admin: AdminClient) -> bool:
        group = self._settings.group or ""
        try:
            found = admin.describe_consumer_groups([group], request_timeout=_CALL_S)
            return not found[group].result(_CALL_S).members
        except (KafkaException, FutureTimeoutError) as error:
            log.warning("the members of the group are unknown: %s", error)
            return False

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # A place of our own saves the broker the search for one, and a pause the fetching from empty partitions.
        shares = _numbers(partitions)
        places = [self._notes.place(share) for share in shares]
        consumer.incremental_assign(places)
        if places:
            consumer.pause(places)
        self._is_member, self._told = True, ""
        self._given.update(shares)
        self._notes.stay(shares)
        others, self._doubtful = self._doubtful - self._given, set()
        self._notes.part(others, time.monotonic() + self._settings.handover_s, is_late=True)
        self._tell(self._listener.assigned, shares)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        shares = _numbers(partitions)
        patience_s = self._settings.handover_s
        if not self._flushed(FLUSH_S):
            log.warning("shares are given up before all that was read is in Kafka", extra={"shares": shares})
            # Without Kafka nobody takes over, and a process that is to end has no time to wait for it.
            patience_s = 0.0 if self._leaving.is_set() else patience_s
        self._notes.part(shares, time.monotonic() + patience_s)
        self._given.difference_update(shares)
        self._tell(self._listener.revoked, shares)
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        shares = _numbers(partitions)
        self._is_member = False
        self._doubtful.update(shares)
        self._given.difference_update(shares)
        self._tell(self._listener.lost, shares)
        # Whoever gets these shares next reads the log first: all that we have must be in it before we ask again.
        until = time.monotonic() + _LONGEST_FLUSH_S
        while not self._leaving.is_set() and time.monotonic() < until and not self._flushed(1.0):
            pass
        consumer.incremental_unassign(partitions)

    def _flushed(self, patience_s: float) -> bool:
        if self._abandoned.is_set():
            return False
        waiting = asyncio.run_coroutine_threadsafe(self._flush(patience_s), self._loop)
        try:
            return waiting.result(patience_s + _CALL_S)
        except (FutureTimeoutError, asyncio.CancelledError):
            return False

    def _write_notes(self) -> None:
        while self._taken_up:
            self._to_note.update(self._taken_up.pop())
        shares, self._to_note = self._to_note & self._given, set()
        if shares:
            self._notes.write(shares)

    def _on_noted(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        self._to_note.update(claims.failed(error, places))

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            raise KafkaException(error)
        if not self._is_member:
            self._tell(self._trouble, error.str())
        if error.str() != self._told:
            self._told = error.str()
            log.error("the group: %s", self._told)

    def _on_error(self, error: KafkaError) -> None:
        """Take the password as its file holds it now: it may have been changed since this client was made."""
        if error.code() != KafkaError._AUTHENTICATION:
            return
        self._complain(error)
        try:
            user = self._settings.kafka_user()
        except InvalidConnection as refusal:
            log.error("%s", refusal)
            return
        if user is not None:
            self._consumer.set_sasl_credentials(*user)

    def _tell(self, whom: Callable[..., None], *what: object) -> None:
        self._loop.call_soon_threadsafe(whom, *what)


def _numbers(partitions: list[TopicPartition]) -> list[int]:
    return [one.partition for one in partitions]
