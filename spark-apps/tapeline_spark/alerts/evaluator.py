"""Evaluates alert rules on each candle update, as a candle listener.

Findings that follow from the log (moves, bursts, gaps) are made in `after_batch`, and again with the same ids when a
batch is replayed. Findings about elapsed time or models are made at ticks. The rules are in rules.py,
their kinds in kinds.py, episodes in episodes.py, model queries in model_queries.py, publishing in publisher.py.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final

from tapeline.instrument import Instrument
from tapeline.records import candle
from tapeline.records.gap import Gap

from tapeline_spark import metrics
from tapeline_spark.alerts import rule_config
from tapeline_spark.alerts.episodes import Episodes
from tapeline_spark.alerts.kinds import Subject, find, rules_on
from tapeline_spark.alerts.model_queries import ModelQueries
from tapeline_spark.alerts.publisher import AlertPublisher, KafkaAlertSink
from tapeline_spark.alerts.rule_config import ModelBelowPrior, Rules
from tapeline_spark.alerts.rules import Finding
from tapeline_spark.candles.listener import Candle, Changes, LogClock
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.settings import Settings

log = logging.getLogger(__name__)

_MODEL_QUERY_INTERVAL_MS: Final = 30_000


class AlertEvaluator:
    """The candle listener."""

    name = "alerts"

    def __init__(
        self, config: Rules, publisher: AlertPublisher, models: ModelQueries, now_ms: Callable[[], int]
    ) -> None:
        """Start empty; see `restore`.

        Args:
            config: rules.
            publisher: of the alerts.
            models: queries about models.
            now_ms: local clock, ms UTC.
        """
        self._rules, self._publisher, self._models, self._now_ms = config.rules, publisher, models, now_ms
        self._notify_within_ms = round(config.notify_within_minutes * candle.MINUTE_MS)
        self.restore(None)

    def restore(self, state: bytes | None) -> None:
        """Load a state of `snapshot`, or start empty."""
        self._episodes = Episodes(state)
        self._queried_ms = 0
        self._clocks: dict[str, LogClock] = {}
        # When each venue's clock last advanced, by the local clock, ms UTC.
        self._advanced_ms: dict[str, int] = {}
        self._last_traded_ms: dict[Instrument, int] = {}
        # Alerts published at ticks, so that each is published once; after a crash it is published again under its id.
        self._published: dict[str, str] = {}

    def snapshot(self) -> bytes:
        """Return the episodes."""
        return self._episodes.snapshot(min((clock.newest_ms for clock in self._clocks.values()), default=0))

    def after_batch(self, changes: Changes) -> None:
        """Publish the findings of a batch."""
        for venue, clock in changes.clocks.items():
            if clock.newest_ms > self._clocks.get(venue, LogClock()).newest_ms:
                self._advanced_ms[venue] = self._now_ms()
        self._clocks = dict(changes.clocks)
        self._last_traded_ms.update(changes.last_traded_ms)
        found: list[tuple[Finding, int]] = []
        for instrument, candles in changes.candles.items():
            for minute_ms, one in sorted(candles.items()):
                found += [(finding, minute_ms + candle.MINUTE_MS) for finding in self._candle_findings(instrument, one)]
        for row in changes.producer_records.gaps:
            found += self._gap_findings(row.value)
        self._publish(found)

    def tick(self, now_ms: int) -> None:
        """Publish the findings about elapsed time and models.

        Raises:
            StreamError: an alert is not durable, or Elasticsearch does not respond.
        """
        found = list(self._silence_findings(now_ms))
        if now_ms - self._queried_ms >= _MODEL_QUERY_INTERVAL_MS:
            self._queried_ms = now_ms
            found += [*self._score_findings(), *self._expiry_findings(now_ms)]
        new = [finding for finding in found if self._published.get(_episode_key(finding)) != finding.alert_id]
        self._publish([(finding, now_ms) for finding in new])
        self._published |= {_episode_key(finding): finding.alert_id for finding in new}

    def _candle_findings(self, instrument: Instrument, one: Candle) -> Iterator[Finding]:
        traded_per_s = one.windows.get("trades_per_s_1h")
        if not one.is_quiet and traded_per_s is not None:
            self._episodes.record_rate(str(instrument), traded_per_s * 3600)
        for rule in rules_on(Subject.CANDLE, self._rules):
            for finding in find(rule, instrument, one) if rule.applies_to(instrument) else ():
                if self._episodes.is_new(_episode_key(finding), one.minute_ms, rule.rest_ms):
                    yield finding

    def _gap_findings(self, value: bytes | None) -> Iterator[tuple[Finding, int]]:
        try:
            gap = Gap.model_validate_json(value or b"")
        except ValueError:
            # The trade query turns it into a reject.
            return
        for rule in rules_on(Subject.GAP, self._rules):
            if rule.applies_to(gap.instrument):
                yield from ((finding, gap.detected_at) for finding in find(rule, gap))

    def _silence_findings(self, now_ms: int) -> Iterator[Finding]:
        for rule in rules_on(Subject.SILENCE, self._rules):
            known = self._clocks, self._advanced_ms, self._last_traded_ms
            yield from find(rule, *known, lambda instrument: self._episodes.rate(str(instrument)), now_ms)

    def _score_findings(self) -> Iterator[Finding]:
        for rule in rules_on(Subject.SCORES, self._rules):
            for venue, clock in self._clocks.items():
                yield from self._venue_score_findings(rule, venue, clock.newest_ms)

    def _venue_score_findings(self, rule: ModelBelowPrior, venue: str, newest_ms: int) -> Iterator[Finding]:
        length_ms = rule.window_minutes * candle.MINUTE_MS
        over_ms = newest_ms - rule.grace_minutes * candle.MINUTE_MS
        start_ms = over_ms - over_ms % length_ms - length_ms
        now = self._models.score_sums(venue, start_ms, start_ms + length_ms)
        before = self._models.score_sums(venue, start_ms - length_ms, start_ms)
        for digest, sums in sorted(now.items()):
            yield from find(rule, venue, digest, start_ms, sums, before.get(digest))

    def _expiry_findings(self, now_ms: int) -> Iterator[Finding]:
        expiring = rules_on(Subject.SERVED_MODEL, self._rules)
        served = self._models.served_model() if expiring else None
        if served:
            for rule in expiring:
                yield from find(rule, served.digest, served.expires_ms, now_ms)

    def _publish(self, found: list[tuple[Finding, int]]) -> None:
        """Publish findings, each with the earliest time at which it could be made, ms UTC."""
        now_ms = self._now_ms()
        alerts = [(finding.alert(now_ms), now_ms - at_ms <= self._notify_within_ms) for finding, at_ms in found]
        self._publisher.publish([alert for alert, _ in alerts], [alert for alert, is_notified in alerts if is_notified])
        for alert, is_notified in alerts:
            metrics.ALERTS.labels(alert.rule, "notified" if is_notified else "stored").inc()
            log.info("alert raised", extra={"alert_id": alert.alert_id, "notified": is_notified, "text": alert.message})


def create_evaluator(settings: Settings, sink: ElasticSink, now_ms: Callable[[], int]) -> AlertEvaluator:
    """Return the alert evaluator with its own clients.

    Raises:
        RulesUnusable: the file of rules is invalid.
    """
    alert_sink = KafkaAlertSink(settings, settings.topic_alerts, settings.hold_s)
    models = ModelQueries(sink, settings.inference_url)
    return AlertEvaluator(rule_config.load(settings.rules), AlertPublisher(sink, alert_sink), models, now_ms)


def _episode_key(finding: Finding) -> str:
    return f"{finding.rule.name}|{finding.subject}"
