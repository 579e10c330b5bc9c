"""Sends one target its alerts: one message at a time, each tried until it arrives or nobody wants it any more."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from tapeline.records.alert import Alert
from tapeline.service.health import Health
from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type, wait_exponential_jitter

from tapeline_notifier.courier import Courier
from tapeline_notifier.message import Message
from tapeline_notifier.metrics import Metrics
from tapeline_notifier.outbox import Outbox
from tapeline_notifier.requests import Verdict
from tapeline_notifier.sent import SentLog
from tapeline_notifier.settings import Settings
from tapeline_notifier.targets import Telegram, Webhook

log = logging.getLogger(__name__)

_LOOK_S = 60.0


def condition(target: Telegram | Webhook) -> str:
    """Return under which name health speaks of a target."""
    return f"target {target.name}"


class _NotYet(Exception):
    """A try did not bring it there."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Sender:
    """One target's."""

    def __init__(
        self,
        target: Telegram | Webhook,
        settings: Settings,
        sent: SentLog,
        courier: Courier,
        metrics: Metrics,
        health: Health,
        settled: Callable[[str], None],
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare; `run` sends.

        Args:
            target: whom to tell.
            settings: how long to try.
            sent: where it is written down.
            courier: who goes.
            metrics: where it is counted.
            health: with the target's condition.
            settled: told the id of each alert that this target is done with.
            clock_ms: ms UTC.
        """
        self.target = target
        self._settings, self._sent, self._courier = settings, sent, courier
        self._metrics, self._health, self._settled, self._clock_ms = metrics, health, settled, clock_ms
        last = sent.sent_at_ms(target.name)
        self._outbox = Outbox(target.group_wait_s, target.cool_down_s, target.most_alerts, last)
        self._begun = sent.begun(target.name)
        self._under_way = {alert.alert_id for begun in self._begun for alert in begun.message.alerts}
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._backoff = wait_exponential_jitter(
            multiplier=settings.retry_least_s, max=settings.retry_most_s, jitter=settings.retry_least_s / 4
        )
        health.hold(condition(target))

    def __len__(self) -> int:
        return len(self._outbox) + len(self._under_way)

    def take(self, alert: Alert) -> bool:
        """Let an alert wait for this target; False where it does not want it or is done with it."""
        if not self.target.wants(alert) or self._sent.is_settled(self.target.name, alert.alert_id):
            return False
        if alert.alert_id not in self._under_way:
            self._outbox.add(alert, self._clock_ms())
            self._news.set()
        self._count()
        return True

    def stop(self) -> None:
        """Let the try under way end, and begin no other."""
        self._stopping.set()
        self._news.set()

    async def run(self) -> None:
        """Send until `stop`.

        Raises:
            SentLogUnusable: what is sent could not be written down.
        """
        for begun in self._begun:
            await self._deliver(begun.message, begun.is_doubtful)
        while not self._stopping.is_set():
            self._expire(self._outbox.too_old(self._clock_ms(), self._settings.max_age_s))
            alerts = self._outbox.due(self._clock_ms())
            if alerts:
                self._under_way = {alert.alert_id for alert in alerts}
                self._outbox.take(alerts)
                await self._deliver(Message.of(self.target.name, alerts), False)
            else:
                await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        at_ms = self._outbox.next_at_ms()
        wait_s = _LOOK_S if at_ms is None else min(_LOOK_S, (at_ms - self._clock_ms()) / 1000)
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(0.0, wait_s))

    async def _deliver(self, message: Message, is_doubtful: bool) -> None:
        """Try until it is settled, or until `stop`: then the sent-log keeps it for the next process.

        Args:
            message: what to say.
            is_doubtful: an earlier try may have arrived.
        """

        async def attempt() -> None:
            nonlocal is_doubtful
            if self._stopping.is_set() or self._nobody_wants(message):
                raise _NotYet(Verdict("busy"))
            verdict = await self._try(message, is_doubtful)
            if verdict.outcome != "sent":
                is_doubtful = is_doubtful or verdict.outcome == "failed"
                raise _NotYet(verdict)

        trying = AsyncRetrying(
            retry=retry_if_exception_type(_NotYet),
            wait=self._pause_s,
            stop=lambda state: self._stopping.is_set() or self._nobody_wants(message),
            sleep=self._rest,
        )
        try:
            await trying(attempt)
        except RetryError:
            if not self._nobody_wants(message):
                return
            self._sent.end(self.target.name, message, "expired", self._clock_ms())
            self._done(message, "expired")
        await self._rest(self.target.pause_s)

    async def _try(self, message: Message, is_doubtful: bool) -> Verdict:
        """Try once, with the try written down before it and what came of it after it."""
        name = self.target.name
        self._sent.begin(name, message, self._clock_ms())
        verdict = await self._courier.carry(self.target, message, is_doubtful)
        self._metrics.tries.labels(name, verdict.outcome).inc()
        if verdict.outcome == "sent":
            self._sent.end(name, message, "sent", self._clock_ms())
            self._metrics.repeats.labels(name).inc(is_doubtful)
            self._health.hold(condition(self.target))
            self._done(message, "sent")
            return verdict
        if verdict.outcome != "failed" and not is_doubtful:
            self._sent.missed(name, message)
        self._health.fail(condition(self.target), verdict.reason)
        told = {"target": name, "outcome": verdict.outcome, "reason": verdict.reason, "wait_s": verdict.wait_s}
        log.warning("a message did not arrive", extra=told)
        return verdict

    def _pause_s(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        verdict = failure.verdict if isinstance(failure, _NotYet) else Verdict("busy")
        if verdict.outcome == "refused":
            return self._settings.refused_retry_s
        return max(verdict.wait_s or 0.0, self._backoff(state))

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _nobody_wants(self, message: Message) -> bool:
        oldest_ms = self._clock_ms() - self._settings.max_age_s * 1000
        return all(alert.raised_at < oldest_ms for alert in message.alerts)

    def _expire(self, alerts: list[Alert]) -> None:
        if not alerts:
            return
        self._sent.settle(self.target.name, alerts, "expired", self._clock_ms())
        self._outbox.take(alerts)
        self._done(Message.of(self.target.name, alerts), "expired")

    def _done(self, message: Message, outcome: str) -> None:
        now_ms = self._clock_ms()
        self._under_way.difference_update(alert.alert_id for alert in message.alerts)
        told = {"target": self.target.name, "alerts": len(message.alerts), "message_id": message.message_id}
        if outcome == "sent":
            self._outbox.sent(message.alerts, now_ms)
            log.info("sent", extra=told)
        else:
            log.warning("alerts were too old to be sent", extra=told)
        for alert in message.alerts:
            if outcome == "sent":
                self._metrics.delay.labels(self.target.name).observe(max(0, now_ms - alert.raised_at) / 1000)
            self._settled(alert.alert_id)
        self._metrics.settled.labels(self.target.name, outcome).inc(len(message.alerts))
        self._count()

    def _count(self) -> None:
        self._metrics.waiting.labels(self.target.name).set(len(self))
