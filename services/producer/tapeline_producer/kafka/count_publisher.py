"""Publishes the counts to Kafka, through a separate client so that its failures cannot affect the trades.

Not here: what is counted (minute_counts.py). A record that Kafka does not acknowledge is not retried: the next run
publishes the current totals.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message
from tapeline_clients import kafka

from tapeline_producer.kafka.minute_counts import MinuteCounter, MinuteCounters
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_TIMEOUT_MS: Final = 20_000


class CountPublisher:
    """Publishes the totals of the minute counters; use it from the event loop's thread only."""

    def __init__(
        self, settings: Settings, counters: MinuteCounters, metrics: Metrics, clock_ms: Callable[[], int]
    ) -> None:
        """Create the Kafka client; brokers may be unreachable.

        Args:
            settings: brokers, topic and interval.
            counters: the totals to publish.
            metrics: counts the failed records.
            clock_ms: our clock, ms UTC.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings, self._counters, self._metrics, self._clock_ms = settings, counters, metrics, clock_ms
        self._in_flight: set[MinuteCounter] = set()
        self._is_healthy = True
        options = {
            "client.id": "tapeline-producer-counts",
            # Each record holds totals, so that a second copy or another order does no harm.
            "enable.idempotence": False,
            "message.timeout.ms": _TIMEOUT_MS,
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 20_000,
            "reconnect.backoff.max.ms": 1000,
            "log.connection.close": False,
            # The client of the trades logs what is wrong with the brokers.
            "log_level": 2,
        }
        self._producer = kafka.producer(settings, options)

    async def run(self) -> None:
        """Publish changed totals at each interval, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.counts_interval_s)
            self.publish()

    def publish(self) -> None:
        """Enqueue the totals that Kafka has not acknowledged; what does not fit the queue waits for the next run."""
        self._producer.poll(0)
        now_ms = self._clock_ms()
        for counter in self._counters.unpublished():
            if counter not in self._in_flight and not self._produce(counter, now_ms):
                break
        self._counters.evict(now_ms)
        self._producer.poll(0)

    def _produce(self, counter: MinuteCounter, now_ms: int) -> bool:
        totals = counter.totals

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            self._in_flight.discard(counter)
            if error is None:
                counter.mark_published(totals)
            self._record_outcome(error)

        value = counter.to_record(totals, now_ms).model_dump_json().encode()
        self._in_flight.add(counter)
        try:
            self._producer.produce(
                self._settings.topic_counts, value, counter.instrument.symbol.encode(), on_delivery=on_delivery
            )
        except (BufferError, KafkaException):
            self._in_flight.discard(counter)
            return False
        return True

    def _record_outcome(self, error: KafkaError | None) -> None:
        """Count a failed record; log the first failure after a success."""
        if error is None:
            self._is_healthy = True
            return
        self._metrics.counts_failed.inc()
        if self._is_healthy:
            log.error("publishing counts to %s failed: %s", self._settings.topic_counts, error.str())
        self._is_healthy = False
        # The password may have changed since this client was created.
        user = self._settings.kafka_user()
        if user is not None:
            self._producer.set_sasl_credentials(*user)

    async def close(self, timeout_s: float) -> int:
        """Publish the last totals, for at most `timeout_s`, and return how many records are left."""
        # A record in flight holds older totals, so its delivery report must come first.
        await asyncio.to_thread(self._producer.flush, timeout_s / 2)
        self.publish()
        return int(await asyncio.to_thread(self._producer.flush, timeout_s / 2))
