"""The parts together: what Kafka has goes to every target that wants it, and Kafka hears when all are done with it."""

import asyncio
import logging
import time
from typing import Final

from pydantic import ValidationError
from tapeline.records.alert import Alert
from tapeline.service.health import Health

from tapeline_notifier.courier import Courier, DryCourier, HttpCourier
from tapeline_notifier.errors import KafkaUnreachable, TopicMissing
from tapeline_notifier.intake import Intake, Read
from tapeline_notifier.metrics import Metrics
from tapeline_notifier.progress import Progress
from tapeline_notifier.sender import Sender
from tapeline_notifier.sent import SentLog
from tapeline_notifier.settings import Settings
from tapeline_notifier.targets import Telegram, Webhook

log = logging.getLogger(__name__)

KAFKA: Final = "kafka"
_PAUSE_S: Final = 0.25
_FORGET_S: Final = 3600.0
_SHOWN: Final = 300


def clock_ms() -> int:
    """Return our clock, ms UTC."""
    return time.time_ns() // 1_000_000


class Service:
    """The notifier."""

    def __init__(
        self, settings: Settings, targets: tuple[Telegram | Webhook, ...], metrics: Metrics, health: Health
    ) -> None:
        """Open the sent-log and prepare a sender for each target.

        Raises:
            StateInUse, SentLogUnusable: see sent.py.
            InvalidConnection: password or authorities of Kafka cannot be read.
        """
        self._settings, self._metrics, self._health = settings, metrics, health
        self._sent = SentLog(None if settings.dry_run else settings.state)
        self._intake = Intake(settings)
        self._courier: Courier = DryCourier() if settings.dry_run else HttpCourier(settings.http_timeout_s)
        self._progress = Progress()
        self._seen: set[str] = set()
        self._stopping = asyncio.Event()
        self._checked_at = self._forgot_at = float("-inf")
        self._senders = [
            Sender(target, settings, self._sent, self._courier, metrics, health, self._settled, clock_ms)
            for target in targets
        ]

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            ExceptionGroup: of SentLogUnusable or InvalidConnection.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_on())
                for sender in self._senders:
                    group.create_task(sender.run())
            self._commit()
        finally:
            await self._courier.aclose()
            await asyncio.to_thread(self._intake.close)
            self._sent.close()

    def stop(self) -> None:
        """Begin nothing new; `run` returns when the requests under way have ended."""
        self._stopping.set()
        for sender in self._senders:
            sender.stop()

    async def _read_on(self) -> None:
        while not self._stopping.is_set():
            self._health.beat()
            await self._check()
            self._forget()
            if max(map(len, self._senders)) < self._settings.waiting_alerts:
                for record in await asyncio.to_thread(self._intake.read):
                    self._take(record)
            else:
                await asyncio.sleep(_PAUSE_S)
            self._commit()
            if self._checked_at < 0:
                await asyncio.sleep(_PAUSE_S)

    async def _check(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < self._settings.kafka_check_s:
            return
        try:
            await asyncio.to_thread(self._intake.check)
        except (KafkaUnreachable, TopicMissing) as error:
            self._checked_at = float("-inf")
            self._health.fail(KAFKA, str(error))
            return
        self._checked_at = now
        self._health.hold(KAFKA)

    def _forget(self) -> None:
        now = time.monotonic()
        if now - self._forgot_at >= _FORGET_S:
            self._forgot_at = now
            self._sent.forget(clock_ms() - self._settings.keep_days * 86_400_000)

    def _take(self, record: Read) -> None:
        try:
            alert = Alert.model_validate_json(record.value or b"")
        except ValidationError as error:
            self._metrics.read.labels("unreadable").inc()
            place = {"partition": record.partition, "offset": record.offset, "value": repr(record.value)[:_SHOWN]}
            log.error("a record was no alert and is passed over", extra={**place, "reason": str(error)[:_SHOWN]})
            self._progress.read(record.partition, record.offset, "", 0)
            return
        takers = sum(sender.take(alert) for sender in self._senders)
        wanted = any(sender.target.wants(alert) for sender in self._senders)
        known = wanted and (not takers or alert.alert_id in self._seen)
        self._metrics.read.labels("repeated" if known else "new" if wanted else "unwanted").inc()
        self._progress.read(record.partition, record.offset, alert.alert_id, takers)
        if takers:
            self._seen.add(alert.alert_id)

    def _settled(self, alert_id: str) -> None:
        self._progress.settle(alert_id)
        self._seen.discard(alert_id)

    def _commit(self) -> None:
        moved = self._progress.done()
        if not self._settings.dry_run:
            self._intake.commit(moved)
