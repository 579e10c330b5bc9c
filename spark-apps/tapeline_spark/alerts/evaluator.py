"""Rings: the rules of alerts as a follower of the candles.

What is in the log (moves, bursts, holes) is found in `after_batch`, and again, under the same ids, when a batch comes
again. What is about time passing or about models is found at ticks. Wiring of rules.py, episodes.py, models.py and
raising.py; no thinking here.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final

from tapeline import names
from tapeline.records import candle
from tapeline.records.gap import Gap

from tapeline_spark import metrics
from tapeline_spark.alerts import rule_config, rules
from tapeline_spark.alerts.episodes import Episodes
from tapeline_spark.alerts.model_queries import Models
from tapeline_spark.alerts.publisher import KafkaBell, Raiser
from tapeline_spark.alerts.rule_config import (
    FeedHole,
    ModelBelowPrior,
    ModelExpired,
    PriceMove,
    Rules,
    SilentSymbol,
    VolumeBurst,
)
from tapeline_spark.alerts.rules import Finding
from tapeline_spark.candles.listener import Candle, Changes, Key
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.settings import Settings

log = logging.getLogger(__name__)

_MODELS_EVERY_MS: Final = 30_000


class Alerts:
    """The follower."""

    name = "alerts"

    def __init__(self, told: Rules, raiser: Raiser, models: Models, now_ms: Callable[[], int]) -> None:
        """Begin with nothing; see `restore`.

        Args:
            told: the rules.
            raiser: where alerts go.
            models: who is asked about models.
            now_ms: our clock, ms UTC.
        """
        self._rules, self._raiser, self._models, self._now_ms = told.rules, raiser, models, now_ms
        self._ring_within_ms = round(told.ring_within_minutes * candle.MINUTE_MS)
        self.restore(None)

    def restore(self, state: bytes | None) -> None:
        """Take back a state of `save`, or begin with nothing."""
        self._episodes = Episodes(state)
        self._newest_ms = self._moved_ms = self._asked_ms = 0
        self._is_caught_up = False
        self._last_traded_ms: dict[Key, int] = {}
        # What ticks raised, so that it is not raised at each; lost in a crash, it is raised again under its id.
        self._raised: dict[str, str] = {}

    def save(self) -> bytes:
        """Return the episodes."""
        return self._episodes.save(self._newest_ms)

    def after_batch(self, changes: Changes) -> None:
        """Raise what the rules find in a batch."""
        if changes.newest_ms > self._newest_ms:
            self._newest_ms, self._moved_ms = changes.newest_ms, self._now_ms()
        self._is_caught_up = changes.is_caught_up
        self._last_traded_ms.update(changes.last_traded_ms)
        found: list[tuple[Finding, int]] = []
        for key, candles in changes.candles.items():
            for minute_ms, one in sorted(candles.items()):
                found += [(finding, minute_ms + candle.MINUTE_MS) for finding in self._of_candle(key, one)]
        for row in changes.books:
            if row.topic == names.TOPIC_GAPS:
                found += self._of_gap(row.value)
        self._raise(found)

    def tick(self, now_ms: int) -> None:
        """Raise what follows from time passing.

        Raises:
            StreamError: an alert does not stand, or Elasticsearch does not answer.
        """
        found = list(self._of_silence(now_ms)) if self._is_caught_up else []
        if now_ms - self._asked_ms >= _MODELS_EVERY_MS:
            self._asked_ms = now_ms
            found += [*self._of_scores(), *self._of_expiry(now_ms)]
        new = [finding for finding in found if self._raised.get(_about(finding)) != finding.alert_id]
        self._raise([(finding, now_ms) for finding in new])
        self._raised |= {_about(finding): finding.alert_id for finding in new}

    def _of_candle(self, key: Key, one: Candle) -> Iterator[Finding]:
        traded_per_s = one.windows.get("trades_per_s_1h")
        if not one.is_quiet and traded_per_s is not None:
            self._episodes.note_rate("|".join(key), traded_per_s * 3600)
        for rule in self._rules:
            found: list[Finding | None] = []
            if isinstance(rule, PriceMove) and rule.is_about(*key):
                found += rules.price_moves(rule, key, one)
            elif isinstance(rule, VolumeBurst) and rule.is_about(*key):
                found.append(rules.volume_burst(rule, key, one))
            else:
                continue
            for finding in found:
                if finding and self._episodes.is_new(_about(finding), one.minute_ms, rule.rest_ms):
                    yield finding

    def _of_gap(self, value: bytes | None) -> Iterator[tuple[Finding, int]]:
        try:
            gap = Gap.model_validate_json(value or b"")
        except ValueError:
            # The trades query makes a reject of it.
            return
        for rule in self._rules:
            if isinstance(rule, FeedHole) and rule.is_about(gap.market_type, gap.symbol):
                finding = rules.hole(rule, gap)
                if finding:
                    yield finding, gap.detected_at

    def _of_silence(self, now_ms: int) -> Iterator[Finding]:
        for rule in self._rules:
            if not isinstance(rule, SilentSymbol):
                continue
            finding = rules.feed_silence(rule, self._newest_ms, now_ms - self._moved_ms)
            if finding:
                yield finding
            for key, last_ms in self._last_traded_ms.items():
                if rule.is_about(*key):
                    rate = self._episodes.rate("|".join(key))
                    finding = rules.silence(rule, key, last_ms, self._newest_ms, rate)
                    if finding:
                        yield finding

    def _of_scores(self) -> Iterator[Finding]:
        for rule in self._rules:
            if isinstance(rule, ModelBelowPrior):
                length_ms = rule.window_minutes * candle.MINUTE_MS
                over_ms = self._newest_ms - rule.grace_minutes * candle.MINUTE_MS
                start_ms = over_ms - over_ms % length_ms - length_ms
                now = self._models.scores(start_ms, start_ms + length_ms)
                before = self._models.scores(start_ms - length_ms, start_ms)
                for digest, sums in sorted(now.items()):
                    finding = rules.below_prior(rule, digest, start_ms, sums, before.get(digest))
                    if finding:
                        yield finding

    def _of_expiry(self, now_ms: int) -> Iterator[Finding]:
        expiring = [rule for rule in self._rules if isinstance(rule, ModelExpired)]
        served = self._models.served() if expiring else None
        for rule in expiring if served else ():
            finding = rules.expired(rule, served.digest, served.expires_ms, now_ms) if served else None
            if finding:
                yield finding

    def _raise(self, found: list[tuple[Finding, int]]) -> None:
        """Raise findings, each with the time at which it could first be made, ms UTC."""
        now_ms = self._now_ms()
        alerts = [(finding.alert(now_ms), now_ms - at_ms <= self._ring_within_ms) for finding, at_ms in found]
        self._raiser.raise_all([alert for alert, _ in alerts], [alert for alert, rings in alerts if rings])
        for alert, rings in alerts:
            metrics.ALERTS.labels(alert.rule, "rung" if rings else "written").inc()
            log.info("alert", extra={"alert_id": alert.alert_id, "rings": rings, "said": alert.message})


def make(settings: Settings, sink: ElasticSink, now_ms: Callable[[], int]) -> Alerts:
    """Return the follower with its own clients.

    Raises:
        RulesUnusable: the file of rules breaks a rule.
    """
    bell = KafkaBell(settings, settings.topic_alerts, settings.hold_s)
    models = Models(sink, settings.inference_url)
    return Alerts(rule_config.load(settings.rules), Raiser(sink, bell), models, now_ms)


def _about(finding: Finding) -> str:
    return f"{finding.rule.name}|{finding.subject}"
