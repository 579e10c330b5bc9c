"""Sends the alerts of one target: one message at a time, each retried until it is delivered or expires."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from tapeline.records.alert import Alert
from tapeline.service.health import Health
from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type, wait_exponential_jitter

from tapeline_notifier.message import Message
from tapeline_notifier.metrics import Metrics
from tapeline_notifier.outbox import Outbox
from tapeline_notifier.requests import DeliveryResult
from tapeline_notifier.sent_log import SentLog
from tapeline_notifier.settings import Settings
from tapeline_notifier.targets import Telegram, Webhook
from tapeline_notifier.transport import Transport

log = logging.getLogger(__name__)

_IDLE_WAIT_S = 60.0


def health_condition(target: Telegram | Webhook) -> str:
    """Return the name of a target's health condition."""
    return f"target {target.name}"


class _NotDelivered(Exception):
    """One attempt did not deliver the message."""

    def __init__(self, result: DeliveryResult) -> None:
        super().__init__(result.reason)
        self.result = result


class Sender:
    """Delivers the alerts of one target."""

    def __init__(
        self,
        target: Telegram | Webhook,
        settings: Settings,
        sent: SentLog,
        transport: Transport,
        metrics: Metrics,
        health: Health,
        on_finalised: Callable[[str], None],
        clock_ms: Callable[[], int],
    ) -> None:
        """Load unfinished messages from the sent-log; `run` sends.

        Args:
            target: the recipient.
            settings: timeouts and retry delays.
            sent: the sent-log.
            transport: sends messages.
            metrics: counts attempts and outcomes.
            health: holds the condition of this target.
            on_finalised: called with the id of each alert that this target finalised.
            clock_ms: current time, ms UTC.
        """
        self.target = target
        self._settings, self._sent, self._transport = settings, sent, transport
        self._metrics, self._health, self._on_finalised, self._clock_ms = metrics, health, on_finalised, clock_ms
        last = sent.last_sent_at_ms(target.name)
        self._outbox = Outbox(target.group_wait_s, target.cool_down_s, target.most_alerts, last)
        self._unfinished = sent.unfinished(target.name)
        self._in_flight = {alert.alert_id for each in self._unfinished for alert in each.message.alerts}
        self._stopping = asyncio.Event()
        self._wakeup = asyncio.Event()
        self._backoff = wait_exponential_jitter(
            multiplier=settings.retry_least_s, max=settings.retry_most_s, jitter=settings.retry_least_s / 4
        )
        health.set_ready(health_condition(target))

    def __len__(self) -> int:
        return len(self._outbox) + len(self._in_flight)

    def enqueue(self, alert: Alert) -> bool:
        """Queue an alert for this target; False if it does not match or is already finalised."""
        if not self.target.matches(alert) or self._sent.is_finalised(self.target.name, alert.alert_id):
            return False
        if alert.alert_id not in self._in_flight:
            self._outbox.add(alert, self._clock_ms())
            self._wakeup.set()
        self._update_pending_gauge()
        return True

    def stop(self) -> None:
        """Finish the attempt in flight and start no other."""
        self._stopping.set()
        self._wakeup.set()

    async def run(self) -> None:
        """Send until `stop`.

        Raises:
            SentLogUnusable: a delivery could not be recorded.
        """
        for each in self._unfinished:
            await self._deliver(each.message, each.is_doubtful)
        while not self._stopping.is_set():
            self._expire(self._outbox.expired(self._clock_ms(), self._settings.max_age_s))
            alerts = self._outbox.due(self._clock_ms())
            if alerts:
                self._in_flight = {alert.alert_id for alert in alerts}
                self._outbox.remove(alerts)
                await self._deliver(Message.from_alerts(self.target.name, alerts), False)
            else:
                await self._wait_until_due()

    async def _wait_until_due(self) -> None:
        at_ms = self._outbox.next_due_at_ms()
        wait_s = _IDLE_WAIT_S if at_ms is None else min(_IDLE_WAIT_S, (at_ms - self._clock_ms()) / 1000)
        self._wakeup.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wakeup.wait(), max(0.0, wait_s))

    async def _deliver(self, message: Message, is_doubtful: bool) -> None:
        """Retry until the message is finalised, or until `stop`: the sent-log then keeps it for the next process.

        Args:
            message: the message.
            is_doubtful: an earlier attempt may have arrived.
        """

        async def attempt() -> None:
            nonlocal is_doubtful
            if self._stopping.is_set() or self._has_expired(message):
                raise _NotDelivered(DeliveryResult("busy"))
            result = await self._send_once(message, is_doubtful)
            if result.outcome != "sent":
                is_doubtful = is_doubtful or result.outcome == "failed"
                raise _NotDelivered(result)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_NotDelivered),
            wait=self._pause_s,
            stop=lambda state: self._stopping.is_set() or self._has_expired(message),
            sleep=self._sleep,
        )
        try:
            await retrying(attempt)
        except RetryError:
            if not self._has_expired(message):
                return
            self._sent.finalise_message(self.target.name, message, "expired", self._clock_ms())
            self._finish(message, "expired")
        await self._sleep(self.target.pause_s)

    async def _send_once(self, message: Message, is_doubtful: bool) -> DeliveryResult:
        """Make one attempt. The sent-log records it before, and its result after."""
        name = self.target.name
        self._sent.record_attempt(name, message, self._clock_ms())
        result = await self._transport.send(self.target, message, is_doubtful)
        self._metrics.attempts.labels(name, result.outcome).inc()
        if result.outcome == "sent":
            self._sent.finalise_message(name, message, "sent", self._clock_ms())
            self._metrics.redeliveries.labels(name).inc(is_doubtful)
            self._health.set_ready(health_condition(self.target))
            self._finish(message, "sent")
            return result
        if result.outcome != "failed" and not is_doubtful:
            self._sent.record_not_delivered(name, message)
        self._health.set_unready(health_condition(self.target), result.reason)
        fields = {"target": name, "outcome": result.outcome, "reason": result.reason, "wait_s": result.wait_s}
        log.warning("delivery attempt failed", extra=fields)
        return result

    def _pause_s(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        result = failure.result if isinstance(failure, _NotDelivered) else DeliveryResult("busy")
        if result.outcome == "refused":
            return self._settings.refused_retry_s
        return max(result.wait_s or 0.0, self._backoff(state))

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _has_expired(self, message: Message) -> bool:
        oldest_ms = self._clock_ms() - self._settings.max_age_s * 1000
        return all(alert.raised_at < oldest_ms for alert in message.alerts)

    def _expire(self, alerts: list[Alert]) -> None:
        if not alerts:
            return
        self._sent.finalise(self.target.name, alerts, "expired", self._clock_ms())
        self._outbox.remove(alerts)
        self._finish(Message.from_alerts(self.target.name, alerts), "expired")

    def _finish(self, message: Message, outcome: str) -> None:
        now_ms = self._clock_ms()
        self._in_flight.difference_update(alert.alert_id for alert in message.alerts)
        fields = {"target": self.target.name, "alerts": len(message.alerts), "message_id": message.message_id}
        if outcome == "sent":
            self._outbox.start_cool_down(message.alerts, now_ms)
            log.info("message sent", extra=fields)
        else:
            log.warning("alerts expired unsent", extra=fields)
        for alert in message.alerts:
            if outcome == "sent":
                self._metrics.latency.labels(self.target.name).observe(max(0, now_ms - alert.raised_at) / 1000)
            self._on_finalised(alert.alert_id)
        self._metrics.finalised.labels(self.target.name, outcome).inc(len(message.alerts))
        self._update_pending_gauge()

    def _update_pending_gauge(self) -> None:
        self._metrics.pending.labels(self.target.name).set(len(self))
