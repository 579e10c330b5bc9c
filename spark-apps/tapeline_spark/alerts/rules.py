"""Evaluates each kind of rule: candles, gaps, sums and times in, findings out. Pure and stateless (state: episodes.py).

Within a minute a finding stays true: highs, lows and volumes only grow. So batch boundaries do not matter, and a rule
need not wait until the minute is over.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tapeline import names
from tapeline.instrument import Instrument
from tapeline.records import candle
from tapeline.records.alert import Alert
from tapeline.records.gap import Gap

from tapeline_spark.alerts.rule_config import (
    FeedGap,
    ModelBelowPrior,
    ModelExpired,
    PriceMove,
    Rule,
    SilentSymbol,
    VolumeBurst,
)
from tapeline_spark.candles.listener import Candle, LogClock

_BP: Final = 10_000.0
_HOUR_MINUTES: Final = 60
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a rule.

    Attributes:
        rule: of the finding.
        subject: what the finding is about; with `began_at` its identity.
        began_at: by the time of trades, ms UTC.
        value: measured value, in `unit`.
        threshold: limit of the rule, in `unit`.
        unit: see tapeline.records.alert.
        message: sentence for people.
        instrument: what it is about; None if it is about a venue or a model.
        model_digest: None if not about a model.
        venue: of a finding that is about no instrument.
    """

    rule: Rule
    subject: str
    began_at: int
    value: float
    threshold: float
    unit: str
    message: str
    instrument: Instrument | None = None
    model_digest: str | None = None
    venue: str = names.VENUE

    @property
    def alert_id(self) -> str:
        """Id of the alert: the same whenever the finding is made."""
        return f"{self.rule.name}|{self.subject}|{self.began_at}"

    def alert(self, raised_at_ms: int) -> Alert:
        """Return the alert of this finding."""
        fields = {
            "alert_id": self.alert_id,
            "rule": self.rule.name,
            "kind": self.rule.kind,
            "severity": self.rule.severity,
            "venue": self.instrument.venue if self.instrument else self.venue,
            "market_type": self.instrument.market_type if self.instrument else None,
            "symbol": self.instrument.symbol if self.instrument else None,
            "model_digest": self.model_digest,
            "value": self.value,
            "threshold": self.threshold,
            "unit": self.unit,
            "message": self.message,
            "began_at": self.began_at,
            "raised_at": raised_at_ms,
        }
        return Alert.model_validate(fields)


class BrierSums(NamedTuple):
    """Brier sums of a model's predictions in a time range, see tapeline.records.score."""

    predictions: int
    brier_sum: float
    prior_brier_sum: float


def price_moves(rule: PriceMove, instrument: Instrument, one: Candle) -> Iterator[Finding]:
    """Yield a move up, a move down, both or neither."""
    moved_bp = one.windows.get(f"return_bp_{rule.window}")
    if moved_bp is None or one.is_quiet:
        return
    start = one.close / (1.0 + moved_bp / _BP)
    for direction, verb, price in (("up", "rose", one.high), ("down", "fell", one.low)):
        value = (price / start - 1.0) * _BP
        if (value if direction == "up" else -value) < rule.threshold_bp:
            continue
        moved = f"{verb} by {abs(value) / 100:.2f} % within {rule.window}"
        message = f"{instrument.symbol} {moved}, from {start:.10g} to {price:.10g}"
        yield Finding(
            rule,
            f"{_subject(instrument)}|{direction}",
            one.minute_ms,
            value,
            rule.threshold_bp,
            "bp",
            message,
            instrument,
        )


def volume_burst(rule: VolumeBurst, instrument: Instrument, one: Candle) -> Finding | None:
    """Return a volume burst, if there is one."""
    minutes = candle.WINDOWS_MINUTES[rule.window]
    inside, hour = one.windows.get(f"volume_{rule.window}"), one.windows.get("volume_1h")
    if inside is None or hour is None or one.trades < rule.min_trades:
        return None
    usual = (hour - inside) / (_HOUR_MINUTES - minutes)
    if usual <= 0:
        return None
    value = inside / minutes / usual
    if value < rule.ratio:
        return None
    message = f"{instrument.symbol} traded {value:.1f} times its usual volume within {rule.window}"
    return Finding(rule, _subject(instrument), one.minute_ms, value, rule.ratio, "ratio", message, instrument)


def symbol_silence(
    rule: SilentSymbol, instrument: Instrument, last_ms: int, newest_ms: int, trades_per_hour: float
) -> Finding | None:
    """Return the silence of a symbol, if there is one.

    Args:
        rule: of the finding.
        instrument: without trades.
        last_ms: its newest trade, ms UTC.
        newest_ms: the newest trade of its venue, ms UTC.
        trades_per_hour: rate before its last trade.
    """
    silent_s = (newest_ms - last_ms) / 1000
    if rule.of != "symbol" or silent_s < rule.after_s or trades_per_hour < rule.min_trades_per_hour:
        return None
    message = f"{instrument.symbol} has had no trade for {silent_s:.0f} s while others have, or is no longer followed"
    return Finding(rule, _subject(instrument), last_ms, silent_s, rule.after_s, "s", message, instrument)


def feed_silence(rule: SilentSymbol, venue: str, newest_ms: int, silent_ms: int) -> Finding | None:
    """Return the silence of a venue's whole feed, if there is one.

    Args:
        rule: of the finding.
        venue: whose feed.
        newest_ms: its newest trade, ms UTC.
        silent_ms: time without a trade, by the local clock.
    """
    silent_s = silent_ms / 1000
    if rule.of != "feed" or silent_s < rule.after_s:
        return None
    message = f"no trade of {venue} has come for {silent_s:.0f} s; the last one is of {_clock(newest_ms)}"
    return Finding(rule, f"{venue}|feed", newest_ms, silent_s, rule.after_s, "s", message, venue=venue)


def silences(
    rule: SilentSymbol,
    clocks: Mapping[str, LogClock],
    advanced_ms: Mapping[str, int],
    last_traded_ms: Mapping[Instrument, int],
    trades_per_hour: Callable[[Instrument], float],
    now_ms: int,
) -> Iterator[Finding]:
    """Yield the silences of feeds and of instruments; of a venue that is behind nothing is known.

    Args:
        rule: of the findings.
        clocks: how far the log of each venue was read.
        advanced_ms: when each of them last advanced, by the local clock, ms UTC.
        last_traded_ms: newest trade of each instrument, ms UTC.
        trades_per_hour: rate of an instrument before its last trade.
        now_ms: local clock, ms UTC.
    """
    live = {venue: clock.newest_ms for venue, clock in clocks.items() if clock.is_caught_up}
    found = [feed_silence(rule, venue, at_ms, now_ms - advanced_ms.get(venue, now_ms)) for venue, at_ms in live.items()]
    for instrument, last_ms in last_traded_ms.items():
        if instrument.venue in live and rule.applies_to(instrument):
            rate = trades_per_hour(instrument)
            found.append(symbol_silence(rule, instrument, last_ms, live[instrument.venue], rate))
    yield from filter(None, found)


def feed_gap(rule: FeedGap, gap: Gap) -> Finding | None:
    """Return a gap in the feed, if it is long enough."""
    length_s = (gap.to_traded_at - gap.from_traded_at) / 1000
    if length_s < rule.min_s:
        return None
    message = (
        f"trades of {gap.symbol} between {_clock(gap.from_traded_at)} and {_clock(gap.to_traded_at)} may be missing "
        f"({gap.reason}; {gap.backfilled} of the same outage were fetched afterwards)"
    )
    # Two gaps can begin at the same time, so the identity includes the end.
    return Finding(rule, gap.identity(), gap.from_traded_at, length_s, rule.min_s, "s", message, gap.instrument)


def below_prior(
    rule: ModelBelowPrior, venue: str, digest: str, start_ms: int, now: BrierSums, before: BrierSums | None
) -> Finding | None:
    """Return that a model is worse than its prior in a window, unless it already was in the previous window.

    Args:
        rule: of the finding.
        venue: whose trades were predicted.
        digest: of the model.
        start_ms: start of the window, ms UTC.
        now: sums of the window.
        before: sums of the previous window; None without predictions.
    """
    if not _is_below(rule, now) or (before is not None and _is_below(rule, before)):
        return None
    value, allowed = now.brier_sum / now.predictions, now.prior_brier_sum / now.predictions + rule.margin
    message = (
        f"model {digest[:12]} was worse than its prior on {venue} for {rule.window_minutes} min "
        f"from {_clock(start_ms)} on: Brier {value:.4f}, allowed {allowed:.4f}, over {now.predictions} predictions"
    )
    return Finding(
        rule, f"{venue}|{digest}", start_ms, value, allowed, "brier", message, model_digest=digest, venue=venue
    )


def expired(rule: ModelExpired, digest: str, expires_ms: int, now_ms: int) -> Finding | None:
    """Return that the served model has expired or expires soon."""
    began_ms = expires_ms - round(rule.ahead_hours * _HOUR_MS)
    if now_ms < began_ms:
        return None
    when = f"{datetime.fromtimestamp(expires_ms / 1000, tz=UTC):%Y-%m-%d %H:%M} UTC"
    message = (
        f"model {digest[:12]} expired at {when}: trades are stored without a number until another one is served"
        if now_ms >= expires_ms
        else f"model {digest[:12]} expires at {when}"
    )
    left_s = (expires_ms - now_ms) / 1000
    return Finding(rule, digest, began_ms, left_s, rule.ahead_hours * 3600, "s", message, model_digest=digest)


def _is_below(rule: ModelBelowPrior, sums: BrierSums) -> bool:
    if sums.predictions < rule.min_predictions:
        return False
    return sums.brier_sum > sums.prior_brier_sum + rule.margin * sums.predictions


def _subject(instrument: Instrument) -> str:
    return f"{instrument.venue}|{instrument.market_type}|{instrument.symbol}"


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%H:%M:%S} UTC"
