"""Writes trades, gaps and rejects to Kafka: no record times out, memory is bounded, the event loop never blocks.

Not here: what to drop when the buffer is full (overflow.py).
To write another kind of record: add a method that ends in `_enqueue`.
Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

import asyncio
import hashlib
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject
from tapeline_clients import kafka

from tapeline_producer.errors import KafkaUnreachableError, TopicMissingError
from tapeline_producer.exchange.bybit.messages import ParseFailure, Trade
from tapeline_producer.kafka.delivery import DeliveryCallback, FlushBarrier, PendingRecord
from tapeline_producer.kafka.minute_counts import MinuteCounter, MinuteCounters
from tapeline_producer.kafka.overflow import OverflowPolicy
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

# As base 64 in a JSON record this stays below the broker's default limit of 1 MiB.
_REJECT_BYTES: Final = 512 * 1024
_MAX_BUFFERED_REJECTS: Final = 1_000
_SEND_BATCH: Final = 2_000
_POLL_S: Final = 0.1
_METADATA_S: Final = 2.0
_FLUSH_POLL_S: Final = 0.02
# Callbacks kept for the next trade of their symbol and minute; records in flight hold their own reference.
_MAX_CALLBACKS: Final = 5_000


def _client_options(settings: Settings) -> dict[str, Any]:
    """Return the Kafka client's options beside those of the connection: in order, no time-out."""
    return {
        "client.id": "tapeline-producer",
        "message.timeout.ms": 0,
        "linger.ms": settings.kafka_linger_ms,
        "compression.type": "lz4",
        "queue.buffering.max.messages": settings.kafka_queue_messages,
        "queue.buffering.max.kbytes": 256 * 1024,
        "reconnect.backoff.max.ms": 1000,
        "log.connection.close": False,
    }


def _never(instrument: Instrument) -> bool:
    """Without a group this process reports the gaps of every instrument."""
    return False


class TradeWriter:
    """Buffers records and produces them to Kafka; use it from the event loop's thread only."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock_ms: Callable[[], int],
        suppress_gaps: Callable[[Instrument], bool] = _never,
    ) -> None:
        """Start the Kafka client and the thread that serves its callbacks; brokers may be unreachable.

        Args:
            settings: brokers, topics and limits.
            metrics: counters and gauges.
            clock_ms: our clock, ms UTC.
            suppress_gaps: whether another replica reports the gaps of an instrument.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings, self._metrics, self._clock_ms, self._suppress_gaps = settings, metrics, clock_ms, suppress_gaps
        self._encode = msgspec.json.Encoder().encode
        self.overflow = OverflowPolicy(settings.buffer_trades)
        self.counters = MinuteCounters(uuid.uuid4().hex[:12])
        """Counts of the trades received and of those that Kafka acknowledged."""
        self.fatal_error: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, after a fatal error of the Kafka client."""
        self._loop = asyncio.get_running_loop()
        self._buffer: deque[PendingRecord] = deque()
        self._buffered_rejects = 0
        self._failed: deque[PendingRecord] = deque()
        self._barriers: list[FlushBarrier] = []
        self._start_barrier()
        self._closing = threading.Event()
        self._last_error: str | None = None
        self._producer = kafka.producer(settings, {**_client_options(settings), "error_cb": self._on_error})
        self._poller = threading.Thread(target=self._poll, name="kafka-callbacks", daemon=True)
        self._poller.start()
        metrics.buffer.set_function(lambda: len(self._buffer) + len(self._failed))
        metrics.queue.set_function(lambda: len(self._producer))

    def write_trades(self, instrument: Instrument, trades: Iterable[Trade]) -> None:
        """Write trades of an instrument; they are buffered while the queue of the Kafka client is full."""
        topic, key = self._settings.topic_trades, instrument.symbol.encode()
        for trade, counter in self.counters.counters_for(instrument, trades):
            now_ms = self._clock_ms()
            counter.received += 1
            is_kept, gap = self.overflow.admit(instrument, trade, len(self._buffer), now_ms)
            if gap is not None:
                self.write_gap(gap)
            if not is_kept:
                self._metrics.dropped.labels(trade.market_type).inc()
                continue
            trade.produced_at = now_ms
            self._enqueue(topic, key, self._encode(trade), self._trade_callback(counter))

    def write_gap(self, gap: Gap) -> None:
        """Write a gap, unless another replica reports it; gaps are few, so the buffer's limit does not apply."""
        if self._suppress_gaps(gap.instrument):
            return
        self._metrics.gaps.labels(gap.market_type, gap.reason).inc()
        log.warning("gap detected", extra=gap.model_dump())
        value = gap.model_dump_json().encode()
        self._enqueue(self._settings.topic_gaps, gap.symbol.encode(), value, self._other_callback)

    def write_reject(self, failure: ParseFailure, market_type: MarketType) -> None:
        """Write input that could not be parsed, its bytes truncated where a record would be too large."""
        self._metrics.rejects.labels(market_type).inc()
        if self._buffered_rejects >= _MAX_BUFFERED_REJECTS:
            self._metrics.undeliverable.inc()
            return
        raw, reason = failure
        if len(raw) > _REJECT_BYTES:
            reason = f"{reason} (first {_REJECT_BYTES} of {len(raw)} bytes, SHA-256 {hashlib.sha256(raw).hexdigest()})"
            raw = raw[:_REJECT_BYTES]
        reject = Reject.from_bytes("producer", reason, raw, self._clock_ms(), market_type)
        value = reject.model_dump_json().encode()
        self._enqueue(self._settings.topic_rejects, None, value, self._other_callback)

    def _enqueue(self, topic: str, key: bytes | None, value: bytes, on_delivery: DeliveryCallback) -> None:
        record = PendingRecord(topic, key, value, on_delivery, self._barriers[-1])
        record.barrier.enqueued += 1
        if self._buffer or not self._produce(record):
            self._buffer.append(record)
            self._buffered_rejects += record.topic == self._settings.topic_rejects

    def _produce(self, record: PendingRecord) -> bool:
        """Give a record to the Kafka client; False if its queue is full."""
        try:
            self._producer.produce(record.topic, record.value, record.key, on_delivery=record.on_delivery)
        except BufferError:
            return False
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                return False
            self._metrics.undeliverable.inc()
            record.barrier.discarded += 1
            log.error("record too large for Kafka; discarded", extra={"topic": record.topic})
        return True

    def send_buffered(self) -> None:
        """Give buffered records to the Kafka client until its queue is full."""
        for _ in range(len(self._failed)):
            record = self._failed.popleft()
            self._buffered_rejects += record.topic == self._settings.topic_rejects
            self._buffer.appendleft(record)
        for _ in range(min(len(self._buffer), _SEND_BATCH)):
            if not self._produce(self._buffer[0]):
                return
            sent = self._buffer.popleft()
            self._buffered_rejects -= sent.topic == self._settings.topic_rejects

    async def run(self, interval_s: float = 0.02) -> None:
        """Send buffered records at each interval, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            if self._buffer or self._failed:
                self.send_buffered()

    def check_topics(self) -> int:
        """Check that the brokers respond and all topics exist; blocks up to 2 s, call it in a thread.

        Returns:
            The number of shards of the group; 1 without a group.

        Raises:
            KafkaUnreachableError: no broker responded, or authentication failed.
            TopicMissingError: a topic does not exist.
            InvalidConnection: the password can no longer be read.
        """
        bootstrap = self._settings.kafka_bootstrap
        try:
            found = self._producer.list_topics(timeout=_METADATA_S).topics
        except KafkaException as error:
            self._reload_password()
            raise KafkaUnreachableError(bootstrap, self._last_error or error.args[0].str()) from error
        self._last_error = None
        settings = self._settings
        shard_topics = (settings.topic_shards,) if settings.group else ()
        wanted = (settings.topic_trades, settings.topic_gaps, settings.topic_rejects, *shard_topics)
        missing = tuple(name for name in wanted if name not in found)
        if missing:
            raise TopicMissingError(missing, bootstrap)
        return len(found[settings.topic_shards].partitions) if settings.group else 1

    def _reload_password(self) -> None:
        """Reload the password file: the password may have changed since this client was created."""
        user = self._settings.kafka_user()
        if user is not None:
            self._producer.set_sasl_credentials(*user)

    async def flush(self, timeout_s: float) -> bool:
        """Wait until Kafka has acknowledged every record written before this call; later records do not count.

        Args:
            timeout_s: longest wait, s.

        Returns:
            Whether Kafka has acknowledged them in time.
        """
        deadline = time.monotonic() + timeout_s
        before = list(self._barriers)
        self._start_barrier()
        while time.monotonic() < deadline:
            if all(barrier.is_complete for barrier in before):
                return True
            await asyncio.sleep(_FLUSH_POLL_S)
        return False

    async def close(self, timeout_s: float) -> int:
        """Deliver the buffered records, for at most `timeout_s`, and return how many are left."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and (self._buffer or self._failed or len(self._producer)):
            self.send_buffered()
            await asyncio.to_thread(self._producer.flush, 0.1)
        self._closing.set()
        await asyncio.to_thread(self._poller.join)
        return len(self._buffer) + len(self._failed) + len(self._producer)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)

    def _start_barrier(self) -> None:
        """Count later records separately from earlier ones."""
        barrier = FlushBarrier()
        self._barriers = [*(old for old in self._barriers if not old.is_complete), barrier]
        self._trade_callbacks: dict[MinuteCounter, DeliveryCallback] = {}
        self._other_callback = self._delivery_callback(barrier)

    def _trade_callback(self, counter: MinuteCounter) -> DeliveryCallback:
        """Return the callback that counts a trade once Kafka has acknowledged it."""
        callback = self._trade_callbacks.get(counter)
        if callback is None:
            if len(self._trade_callbacks) >= _MAX_CALLBACKS:
                self._trade_callbacks.clear()
            produced = self._metrics.produced.labels(counter.instrument.market_type)
            callback = self._delivery_callback(self._barriers[-1], counter.record_produced, produced.inc)
            self._trade_callbacks[counter] = callback
        return callback

    def _delivery_callback(self, barrier: FlushBarrier, *counts: Callable[[], None]) -> DeliveryCallback:
        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None:
                barrier.delivered += 1
                for count in counts:
                    count()
            else:
                self._requeue(message, on_delivery, barrier)

        return on_delivery

    def _requeue(self, message: Message, on_delivery: DeliveryCallback, barrier: FlushBarrier) -> None:
        """Buffer a record that Kafka did not acknowledge; its trade id protects against a second copy."""
        self._metrics.deliveries_failed.inc()
        topic, value = message.topic(), message.value()
        if topic is not None and value is not None:
            self._failed.append(PendingRecord(topic, message.key(), value, on_delivery, barrier))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            # The failing call gives no reason, so this one is kept, without the time that the attempt took.
            self._last_error = error.str().partition(" (after ")[0]
        if error.fatal():
            self._loop.call_soon_threadsafe(self._fail, error.str())

    def _fail(self, reason: str) -> None:
        if not self.fatal_error.done():
            self.fatal_error.set_result(reason)
