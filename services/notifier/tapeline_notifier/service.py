"""Reads alerts from Kafka, queues them for each matching target, and commits offsets of finalised alerts."""

import asyncio
import logging
import time
from typing import Final

from tapeline.service.clock import now_ms
from tapeline.service.health import Health

from tapeline_notifier.consumer import AlertConsumer, ConsumedRecord
from tapeline_notifier.errors import KafkaUnreachable, TopicMissing
from tapeline_notifier.message import parse_alert
from tapeline_notifier.metrics import Metrics
from tapeline_notifier.offset_tracker import OffsetTracker
from tapeline_notifier.sender import Sender
from tapeline_notifier.sent_log import SentLog
from tapeline_notifier.settings import Settings
from tapeline_notifier.targets import Telegram, Webhook
from tapeline_notifier.transport import DryRunTransport, HttpTransport, Transport

log = logging.getLogger(__name__)

KAFKA: Final = "kafka"
_PAUSE_S: Final = 0.25
_PURGE_INTERVAL_S: Final = 3600.0
_MAX_LOGGED_CHARS: Final = 300


class Service:
    """The notifier: one consumer and one sender per target."""

    def __init__(
        self, settings: Settings, targets: tuple[Telegram | Webhook, ...], metrics: Metrics, health: Health
    ) -> None:
        """Open the sent-log and prepare a sender for each target.

        Raises:
            StateInUse, SentLogUnusable, OutdatedState: see sent_log.py.
            InvalidConnection: the password or CA file of Kafka cannot be read.
        """
        self._settings, self._metrics, self._health = settings, metrics, health
        self._sent = SentLog(None if settings.dry_run else settings.state)
        self._consumer = AlertConsumer(settings)
        self._transport: Transport = DryRunTransport() if settings.dry_run else HttpTransport(settings.http_timeout_s)
        self._offset_tracker = OffsetTracker()
        self._pending_ids: set[str] = set()
        self._stopping = asyncio.Event()
        self._checked_at = self._purged_at = float("-inf")
        self._senders = [
            Sender(target, settings, self._sent, self._transport, metrics, health, self._on_finalised, now_ms)
            for target in targets
        ]

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            ExceptionGroup: of SentLogUnusable or InvalidConnection.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_loop())
                for sender in self._senders:
                    group.create_task(sender.run())
            self._commit()
        finally:
            await self._transport.aclose()
            await asyncio.to_thread(self._consumer.close)
            self._sent.close()

    def stop(self) -> None:
        """Start no new request; `run` returns when the requests in flight have ended."""
        self._stopping.set()
        for sender in self._senders:
            sender.stop()

    async def _read_loop(self) -> None:
        while not self._stopping.is_set():
            self._health.beat()
            await self._check_topic()
            self._purge_sent_log()
            if max(map(len, self._senders)) < self._settings.waiting_alerts:
                for record in await asyncio.to_thread(self._consumer.read):
                    self._dispatch(record)
            else:
                await asyncio.sleep(_PAUSE_S)
            self._commit()
            if self._checked_at < 0:
                await asyncio.sleep(_PAUSE_S)

    async def _check_topic(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < self._settings.kafka_check_s:
            return
        try:
            await asyncio.to_thread(self._consumer.check)
        except (KafkaUnreachable, TopicMissing) as error:
            self._checked_at = float("-inf")
            self._health.set_unready(KAFKA, str(error))
            return
        self._checked_at = now
        self._health.set_ready(KAFKA)

    def _purge_sent_log(self) -> None:
        now = time.monotonic()
        if now - self._purged_at >= _PURGE_INTERVAL_S:
            self._purged_at = now
            self._sent.purge(now_ms() - self._settings.keep_days * 86_400_000)

    def _dispatch(self, record: ConsumedRecord) -> None:
        try:
            alert = parse_alert(record.value or b"")
        except ValueError as error:
            self._metrics.read.labels("unreadable").inc()
            fields = {
                "topic": record.partition.topic,
                "partition": record.partition.number,
                "offset": record.offset,
                "value": repr(record.value)[:_MAX_LOGGED_CHARS],
            }
            log.error("skipping invalid alert record", extra={**fields, "reason": str(error)[:_MAX_LOGGED_CHARS]})
            self._offset_tracker.add(record.partition, record.offset, "", 0)
            return
        pending_targets = sum(sender.enqueue(alert) for sender in self._senders)
        matched = any(sender.target.matches(alert) for sender in self._senders)
        known = matched and (not pending_targets or alert.alert_id in self._pending_ids)
        self._metrics.read.labels("repeated" if known else "new" if matched else "unmatched").inc()
        self._offset_tracker.add(record.partition, record.offset, alert.alert_id, pending_targets)
        if pending_targets:
            self._pending_ids.add(alert.alert_id)

    def _on_finalised(self, alert_id: str) -> None:
        self._offset_tracker.finalise(alert_id)
        self._pending_ids.discard(alert_id)

    def _commit(self) -> None:
        offsets = self._offset_tracker.committable()
        if not self._settings.dry_run:
            self._consumer.commit(offsets)
