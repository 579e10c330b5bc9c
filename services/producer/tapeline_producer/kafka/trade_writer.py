"""Records into Kafka: nothing is dropped by time, memory is bounded, the event loop never waits.

Not here: what to drop when memory is full (backlog.py).
To write another kind of record: add a method that ends in `_put`.
Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

import asyncio
import hashlib
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal, cast

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tapeline import names
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject

from tapeline_producer.errors import KafkaUnreachableError, TopicMissingError
from tapeline_producer.exchange.bybit.messages import Trade, Unreadable
from tapeline_producer.kafka.delivery import Delivered, Record, Span
from tapeline_producer.kafka.minute_counts import Cell, Counts
from tapeline_producer.kafka.overflow import Admission
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

# As base 64 in a JSON record this stays below the broker's default limit of 1 MiB.
_REJECT_BYTES: Final = 512 * 1024
_REJECTS_WAITING: Final = 1_000
_PUMPED_AT_ONCE: Final = 2_000
_POLL_S: Final = 0.1
_METADATA_S: Final = 2.0
_FLUSH_LOOK_S: Final = 0.02
# Callbacks kept for the next trade of their symbol and minute; those under way live on without it.
_CALLBACKS_KEPT: Final = 5_000

_MarketType = Literal["spot", "linear"]


def client_configuration(settings: Settings) -> dict[str, Any]:
    """Return the Kafka client's configuration: acknowledged by all, in order, never timed out.

    Raises:
        InvalidConnection: password or authorities cannot be read.
    """
    return {
        **settings.librdkafka(),
        "client.id": "tapeline-producer",
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": 0,
        "partitioner": names.PARTITIONER,
        "linger.ms": settings.kafka_linger_ms,
        "compression.type": "lz4",
        "queue.buffering.max.messages": settings.kafka_queue_messages,
        "queue.buffering.max.kbytes": 256 * 1024,
        "reconnect.backoff.max.ms": 1000,
        "log.connection.close": False,
    }


class Publisher:
    """The way into Kafka; use it from the event loop's thread only."""

    def __init__(self, settings: Settings, metrics: Metrics, clock_ms: Callable[[], int]) -> None:
        """Start the Kafka client and the thread that serves its callbacks; brokers may be away.

        Args:
            settings: brokers, topics and limits.
            metrics: what is counted.
            clock_ms: our clock, ms UTC.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings = settings
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._encode = msgspec.json.Encoder().encode
        self.admission = Admission(settings.buffer_trades)
        self.counts = Counts(uuid.uuid4().hex[:12])
        """What was read, and what Kafka took of it."""
        self.fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when the Kafka client is beyond repair."""
        self.is_mute: Callable[[str, str], bool] = lambda market_type, symbol: False
        """Whether the holes of a symbol are another replica's to report."""
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Record] = deque()
        self._rejects_waiting = 0
        self._returned: deque[Record] = deque()
        self._keys: dict[str, bytes] = {}
        self._spans: list[Span] = []
        self._begin_span()
        self._closing = threading.Event()
        self._heard: str | None = None
        configuration = {**client_configuration(settings), "error_cb": self._on_error}
        self._producer = Producer(configuration, logger=logging.getLogger("librdkafka"))
        self._poller = threading.Thread(target=self._poll, name="kafka-callbacks", daemon=True)
        self._poller.start()
        metrics.buffer.set_function(lambda: len(self._waiting) + len(self._returned))
        metrics.queue.set_function(lambda: len(self._producer))

    def trade(self, trade: Trade) -> None:
        """Send a trade on, or keep it while Kafka takes nothing."""
        now_ms = self._clock_ms()
        cell = self.counts.of(trade)
        cell.received += 1
        keep, gap = self.admission.admit(trade, len(self._waiting), now_ms)
        if gap is not None:
            self.gap(gap)
        if not keep:
            self._metrics.dropped.labels(trade.market_type).inc()
            return
        trade.produced_at = now_ms
        key = self._keys.get(trade.symbol)
        if key is None:
            key = self._keys[trade.symbol] = trade.symbol.encode()
        self._put(self._settings.topic_trades, key, self._encode(trade), self._when_taken(cell))

    def gap(self, gap: Gap) -> None:
        """Send a gap on, unless it is another's to report; there are few, so they are kept whatever the memory."""
        if self.is_mute(gap.market_type, gap.symbol):
            return
        self._metrics.gaps.labels(gap.market_type, gap.reason).inc()
        log.warning("trades may be missing", extra=gap.model_dump())
        value = gap.model_dump_json().encode()
        self._put(self._settings.topic_gaps, gap.symbol.encode(), value, self._on_other)

    def reject(self, unreadable: Unreadable, market_type: str) -> None:
        """Send what could not be read on, its bytes cut where a record would be too large."""
        self._metrics.rejects.labels(market_type).inc()
        if self._rejects_waiting >= _REJECTS_WAITING:
            self._metrics.undeliverable.inc()
            return
        raw, reason = unreadable
        if len(raw) > _REJECT_BYTES:
            reason = f"{reason} (first {_REJECT_BYTES} of {len(raw)} bytes, SHA-256 {hashlib.sha256(raw).hexdigest()})"
            raw = raw[:_REJECT_BYTES]
        value = (
            Reject.of("producer", reason, raw, self._clock_ms(), cast(_MarketType, market_type))
            .model_dump_json()
            .encode()
        )
        self._put(self._settings.topic_rejects, None, value, self._on_other)

    def _put(self, topic: str, key: bytes | None, value: bytes, delivered: Delivered) -> None:
        record = Record(topic, key, value, delivered, self._spans[-1])
        record.span.given += 1
        if self._waiting or not self._send(record):
            self._waiting.append(record)
            self._rejects_waiting += record.topic == self._settings.topic_rejects

    def _send(self, record: Record) -> bool:
        """Hand a record to the Kafka client; False where it must wait."""
        try:
            self._producer.produce(record.topic, record.value, record.key, on_delivery=record.delivered)
        except BufferError:
            return False
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                return False
            self._metrics.undeliverable.inc()
            record.span.given_up += 1
            log.error("a record was too large for Kafka and is given up", extra={"topic": record.topic})
        return True

    def pump(self) -> None:
        """Move what waits into the Kafka client, as far as there is room."""
        for _ in range(len(self._returned)):
            record = self._returned.popleft()
            self._rejects_waiting += record.topic == self._settings.topic_rejects
            self._waiting.appendleft(record)
        for _ in range(min(len(self._waiting), _PUMPED_AT_ONCE)):
            if not self._send(self._waiting[0]):
                return
            sent = self._waiting.popleft()
            self._rejects_waiting -= sent.topic == self._settings.topic_rejects

    async def keep_pumping(self, interval_s: float = 0.02) -> None:
        """Pump for ever."""
        while True:
            await asyncio.sleep(interval_s)
            if self._waiting or self._returned:
                self.pump()

    def check(self) -> int:
        """Ask the brokers whether they and all topics are there; blocks up to 2 s, call it in a thread.

        Returns:
            How many shares the replicas of a group deal out; 1 without a group.

        Raises:
            KafkaUnreachableError: no broker answered, or none took us for who we say we are.
            TopicMissingError: a topic does not exist.
            InvalidConnection: the password cannot be read any more.
        """
        bootstrap = self._settings.kafka_bootstrap
        try:
            found = self._producer.list_topics(timeout=_METADATA_S).topics
        except KafkaException as error:
            self._renew_password()
            raise KafkaUnreachableError(bootstrap, self._heard or error.args[0].str()) from error
        self._heard = None
        settings = self._settings
        shared = (settings.topic_assignments,) if settings.group else ()
        wanted = (settings.topic_trades, settings.topic_gaps, settings.topic_rejects, *shared)
        missing = tuple(name for name in wanted if name not in found)
        if missing:
            raise TopicMissingError(missing, bootstrap)
        return len(found[settings.topic_assignments].partitions) if settings.group else 1

    def _renew_password(self) -> None:
        """Take the password as its file holds it now: it may have been changed since this client was made."""
        user = self._settings.kafka_user()
        if user is not None:
            self._producer.set_sasl_credentials(*user)

    async def flushed(self, patience_s: float) -> bool:
        """Wait until Kafka has all that was handed over before this call; later records do not count.

        Args:
            patience_s: how long that may take.

        Returns:
            Whether it has.
        """
        deadline = time.monotonic() + patience_s
        before = list(self._spans)
        self._begin_span()
        while time.monotonic() < deadline:
            if all(span.is_settled for span in before):
                return True
            await asyncio.sleep(_FLUSH_LOOK_S)
        return False

    async def close(self, patience_s: float) -> int:
        """Deliver what waits, for at most `patience_s`, and return how many records are left."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and (self._waiting or self._returned or len(self._producer)):
            self.pump()
            await asyncio.to_thread(self._producer.flush, 0.1)
        self._closing.set()
        await asyncio.to_thread(self._poller.join)
        return len(self._waiting) + len(self._returned) + len(self._producer)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)

    def _begin_span(self) -> None:
        """Count what comes from now on apart from what came before."""
        span = Span()
        self._spans = [*(old for old in self._spans if not old.is_settled), span]
        self._on_trade: dict[Cell, Delivered] = {}
        self._on_other = self._when_delivered(span)

    def _when_taken(self, cell: Cell) -> Delivered:
        """Return what counts a trade of a cell once Kafka has it."""
        delivered = self._on_trade.get(cell)
        if delivered is None:
            if len(self._on_trade) >= _CALLBACKS_KEPT:
                self._on_trade.clear()
            counter = self._metrics.produced.labels(cell.market_type)
            delivered = self._on_trade[cell] = self._when_delivered(self._spans[-1], cell.take, counter.inc)
        return delivered

    def _when_delivered(self, span: Span, *counting: Callable[[], None]) -> Delivered:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                span.delivered += 1
                for count in counting:
                    count()
            else:
                self._take_back(message, delivered, span)

        return delivered

    def _take_back(self, message: Message, delivered: Delivered, span: Span) -> None:
        """Keep a record that Kafka did not take; its id protects against a second copy."""
        self._metrics.deliveries_failed.inc()
        topic, value = message.topic(), message.value()
        if topic is not None and value is not None:
            self._returned.append(Record(topic, message.key(), value, delivered, span))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            # The call that fails says only that it did; the rest of this is how long it took.
            self._heard = error.str().partition(" (after ")[0]
        if error.fatal():
            self._loop.call_soon_threadsafe(self._give_up, error.str())

    def _give_up(self, reason: str) -> None:
        if not self.fatal.done():
            self.fatal.set_result(reason)
