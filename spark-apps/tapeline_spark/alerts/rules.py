"""What each rule finds. Pure: candles, gaps, sums and times in, findings out; no memory (episodes.py has that).

Within a minute a finding never goes away: highs and lows and volumes only grow. So it does not matter where batches
begin and end, and a rule need not wait until the minute is over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tapeline import names
from tapeline.records import candle
from tapeline.records.alert import Alert
from tapeline.records.gap import Gap

from tapeline_spark.alerts.rule_config import (
    FeedHole,
    ModelBelowPrior,
    ModelExpired,
    PriceMove,
    Rule,
    SilentSymbol,
    VolumeBurst,
)
from tapeline_spark.candles.listener import Candle, Key

_BP: Final = 10_000.0
_HOUR_MINUTES: Final = 60
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        rule: which.
        subject: about what; with `began_at` the identity of the finding.
        began_at: by the trades' own time, ms UTC.
        value: what was measured, in `unit`.
        threshold: what the rule allows.
        unit: of both, see tapeline.alert.
        message: a sentence for a person.
        key: market_type and symbol, None where it is about neither.
        model_digest: None where it is not about a model.
    """

    rule: Rule
    subject: str
    began_at: int
    value: float
    threshold: float
    unit: str
    message: str
    key: Key | None = None
    model_digest: str | None = None

    @property
    def alert_id(self) -> str:
        """The same for the same finding, whenever it is made."""
        return f"{self.rule.name}|{self.subject}|{self.began_at}"

    def alert(self, raised_at_ms: int) -> Alert:
        """Return the alert of this finding."""
        market_type, symbol = self.key or (None, None)
        fields = {
            "alert_id": self.alert_id,
            "rule": self.rule.name,
            "kind": self.rule.kind,
            "severity": self.rule.severity,
            "venue": names.VENUE,
            "market_type": market_type,
            "symbol": symbol,
            "model_digest": self.model_digest,
            "value": self.value,
            "threshold": self.threshold,
            "unit": self.unit,
            "message": self.message,
            "began_at": self.began_at,
            "raised_at": raised_at_ms,
        }
        return Alert.model_validate(fields)


class Sums(NamedTuple):
    """What a model's predictions of a span came to, see tapeline.score."""

    predictions: int
    brier_sum: float
    prior_brier_sum: float


def price_moves(rule: PriceMove, key: Key, one: Candle) -> Iterator[Finding]:
    """Yield a move up, a move down, both or neither."""
    moved_bp = one.windows.get(f"return_bp_{rule.window}")
    if moved_bp is None or one.is_quiet:
        return
    start = one.close / (1.0 + moved_bp / _BP)
    for way, word, price in (("up", "rose", one.high), ("down", "fell", one.low)):
        value = (price / start - 1.0) * _BP
        if (value if way == "up" else -value) < rule.threshold_bp:
            continue
        said = f"{key[1]} {word} by {abs(value) / 100:.2f} % within {rule.window}, from {start:.10g} to {price:.10g}"
        yield Finding(rule, f"{_subject(key)}|{way}", one.minute_ms, value, rule.threshold_bp, "bp", said, key)


def volume_burst(rule: VolumeBurst, key: Key, one: Candle) -> Finding | None:
    """Return a burst, if the minute is one."""
    minutes = candle.WINDOWS_MINUTES[rule.window]
    inside, hour = one.windows.get(f"volume_{rule.window}"), one.windows.get("volume_1h")
    if inside is None or hour is None or one.trades < rule.least_trades:
        return None
    usual = (hour - inside) / (_HOUR_MINUTES - minutes)
    if usual <= 0:
        return None
    value = inside / minutes / usual
    if value < rule.ratio:
        return None
    said = f"{key[1]} traded {value:.1f} times its usual volume within {rule.window}"
    return Finding(rule, _subject(key), one.minute_ms, value, rule.ratio, "ratio", said, key)


def silence(rule: SilentSymbol, key: Key, last_ms: int, newest_ms: int, trades_an_hour: float) -> Finding | None:
    """Return the silence of a symbol, if it is one.

    Args:
        rule: which.
        key: market_type and symbol.
        last_ms: its newest trade, ms UTC.
        newest_ms: the newest trade of any symbol.
        trades_an_hour: how much it traded before.
    """
    silent_s = (newest_ms - last_ms) / 1000
    if rule.of != "symbol" or silent_s < rule.after_s or trades_an_hour < rule.least_trades_an_hour:
        return None
    said = f"{key[1]} has had no trade for {silent_s:.0f} s while others have, or is no longer followed"
    return Finding(rule, _subject(key), last_ms, silent_s, rule.after_s, "s", said, key)


def feed_silence(rule: SilentSymbol, newest_ms: int, silent_ms: int) -> Finding | None:
    """Return the silence of everything, if it is one.

    Args:
        rule: which.
        newest_ms: the newest trade of any symbol, ms UTC.
        silent_ms: how long nothing has come, by our clock.
    """
    silent_s = silent_ms / 1000
    if rule.of != "feed" or silent_s < rule.after_s:
        return None
    said = f"no trade of any symbol has come for {silent_s:.0f} s; the last one is of {_clock(newest_ms)}"
    return Finding(rule, f"{names.VENUE}|feed", newest_ms, silent_s, rule.after_s, "s", said)


def hole(rule: FeedHole, gap: Gap) -> Finding | None:
    """Return a hole in the feed, if it is long enough to be told."""
    length_s = (gap.to_traded_at - gap.from_traded_at) / 1000
    if length_s < rule.least_s:
        return None
    said = (
        f"trades of {gap.symbol} between {_clock(gap.from_traded_at)} and {_clock(gap.to_traded_at)} may be missing "
        f"({gap.reason}; {gap.backfilled} of the same outage were fetched afterwards)"
    )
    key = (gap.market_type, gap.symbol)
    # Two holes can begin at one time; their ends are what tells them apart.
    return Finding(rule, gap.identity(), gap.from_traded_at, length_s, rule.least_s, "s", said, key)


def below_prior(rule: ModelBelowPrior, digest: str, start_ms: int, now: Sums, before: Sums | None) -> Finding | None:
    """Return that a model is worse than its prior, if it is so in a window and was not in the one before.

    Args:
        rule: which.
        digest: of the model.
        start_ms: of the window, ms UTC.
        now: of the window.
        before: of the window before, None where it predicted nothing in it.
    """
    if not _is_below(rule, now) or (before is not None and _is_below(rule, before)):
        return None
    value, allowed = now.brier_sum / now.predictions, now.prior_brier_sum / now.predictions + rule.margin
    said = (
        f"model {digest[:12]} was worse than its prior for {rule.window_minutes} min from {_clock(start_ms)} on: "
        f"Brier {value:.4f}, allowed {allowed:.4f}, over {now.predictions} predictions"
    )
    return Finding(rule, digest, start_ms, value, allowed, "brier", said, model_digest=digest)


def expired(rule: ModelExpired, digest: str, expires_ms: int, now_ms: int) -> Finding | None:
    """Return that the served model has expired or is about to."""
    began_ms = expires_ms - round(rule.ahead_hours * _HOUR_MS)
    if now_ms < began_ms:
        return None
    when = f"{datetime.fromtimestamp(expires_ms / 1000, tz=UTC):%Y-%m-%d %H:%M} UTC"
    said = (
        f"model {digest[:12]} expired at {when}: trades are stored without a number until another one is served"
        if now_ms >= expires_ms
        else f"model {digest[:12]} expires at {when}"
    )
    left_s = (expires_ms - now_ms) / 1000
    return Finding(rule, digest, began_ms, left_s, rule.ahead_hours * 3600, "s", said, model_digest=digest)


def _is_below(rule: ModelBelowPrior, sums: Sums) -> bool:
    if sums.predictions < rule.least_predictions:
        return False
    return sums.brier_sum > sums.prior_brier_sum + rule.margin * sums.predictions


def _subject(key: Key) -> str:
    return "|".join((names.VENUE, *key))


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%H:%M:%S} UTC"
