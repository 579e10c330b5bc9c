"""The counts' way into Kafka, by a client of its own: nothing that happens to it can touch the trades.

Not here: what is counted (counts.py). A report that Kafka did not take is made anew at the next turn, so none waits.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tapeline import names

from tapeline_producer.kafka.minute_counts import Cell, Counts
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_TIMEOUT_MS: Final = 20_000


class Teller:
    """Tells Kafka what was counted; use it from the event loop's thread only."""

    def __init__(self, settings: Settings, counts: Counts, metrics: Metrics, clock_ms: Callable[[], int]) -> None:
        """Prepare the Kafka client; brokers may be away.

        Args:
            settings: brokers, topic and how often.
            counts: what is told.
            metrics: what is counted.
            clock_ms: our clock, ms UTC.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings, self._counts, self._metrics, self._clock_ms = settings, counts, metrics, clock_ms
        self._under_way: set[Cell] = set()
        self._is_well = True
        configuration = {
            **settings.librdkafka(),
            "client.id": "tapeline-producer-counts",
            "acks": "all",
            "message.timeout.ms": _TIMEOUT_MS,
            "partitioner": names.PARTITIONER,
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 20_000,
            "reconnect.backoff.max.ms": 1000,
            "log.connection.close": False,
            # The trades' client says what is wrong with the brokers.
            "log_level": 2,
        }
        self._producer = Producer(configuration, logger=logging.getLogger("librdkafka"))

    async def run(self) -> None:
        """Tell what changed, again and again, for ever."""
        while True:
            await asyncio.sleep(self._settings.counts_interval_s)
            self.tell()

    def tell(self) -> None:
        """Hand over the totals that Kafka does not have; what does not fit waits for the next turn."""
        self._producer.poll(0)
        now_ms = self._clock_ms()
        for cell in self._counts.due():
            if cell not in self._under_way and not self._send(cell, now_ms):
                break
        self._counts.forget(now_ms)
        self._producer.poll(0)

    def _send(self, cell: Cell, now_ms: int) -> bool:
        totals = cell.totals

        def delivered(error: KafkaError | None, _: Message) -> None:
            self._under_way.discard(cell)
            if error is None:
                cell.told(totals)
            self._hear(error)

        value = cell.report(totals, now_ms).model_dump_json().encode()
        self._under_way.add(cell)
        try:
            self._producer.produce(self._settings.topic_counts, value, cell.symbol.encode(), on_delivery=delivered)
        except (BufferError, KafkaException):
            self._under_way.discard(cell)
            return False
        return True

    def _hear(self, error: KafkaError | None) -> None:
        """Take note of whether Kafka takes the counts; say so once."""
        if error is None:
            self._is_well = True
            return
        self._metrics.counts_failed.inc()
        if self._is_well:
            log.error("Kafka did not take the counts of %s: %s", self._settings.topic_counts, error.str())
        self._is_well = False
        # It may have been changed since this client was made.
        user = self._settings.kafka_user()
        if user is not None:
            self._producer.set_sasl_credentials(*user)

    async def close(self, patience_s: float) -> int:
        """Tell the last totals, for at most `patience_s`, and return how many reports are left."""
        # One that is under way tells less than the last totals do, so it must be answered first.
        await asyncio.to_thread(self._producer.flush, patience_s / 2)
        self.tell()
        return int(await asyncio.to_thread(self._producer.flush, patience_s / 2))
