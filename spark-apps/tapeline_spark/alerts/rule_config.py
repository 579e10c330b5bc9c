"""Loads and validates alert rules from a YAML file. They are evaluated in rules.py.

To add a kind of rule: a member of tapeline.enums.AlertKind, a class here and in Rule, and an entry in kinds.KINDS.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tapeline.enums import AlertKind, MarketType, Severity
from tapeline.instrument import SYMBOL_PATTERN, Instrument
from tapeline.records import candle

from tapeline_spark.errors import RulesUnusable

DEFAULT: Final = Path(__file__).with_name("rules.yaml")

_Window = Literal["1m", "5m", "15m", "1h"]
_Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN)]


class _Rule(BaseModel):
    """Fields of every rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """Part of each alert's id: a renamed rule raises its alerts again."""
    severity: Severity = Severity.WARNING


class _SymbolRule(_Rule):
    """A rule about symbols."""

    market_types: tuple[MarketType, ...] = tuple(MarketType)
    symbols: tuple[_Symbol, ...] = ()
    """Empty: all."""

    def applies_to(self, instrument: Instrument) -> bool:
        """Return whether the rule applies to an instrument."""
        is_named = not self.symbols or instrument.symbol in self.symbols
        return is_named and instrument.market_type in self.market_types


class PriceMove(_SymbolRule):
    """A price of the minute is that far from the close at the window's start; one alert per episode and direction."""

    kind: Literal[AlertKind.PRICE_MOVE]
    window: _Window = "5m"
    threshold_bp: Annotated[float, Field(gt=0, le=1_000_000)]
    rest_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """Minutes without a finding that end an episode; None: the length of the window."""

    @property
    def rest_ms(self) -> int:
        """Time without a finding that ends an episode, ms."""
        return (self.rest_minutes or candle.WINDOWS_MINUTES[self.window]) * candle.MINUTE_MS


class VolumeBurst(_SymbolRule):
    """The volume per minute in the window is that many times its mean over the rest of the hour."""

    kind: Literal[AlertKind.VOLUME_BURST]
    window: Literal["1m", "5m", "15m"] = "1m"
    ratio: Annotated[float, Field(gt=1)]
    min_trades: Annotated[int, Field(ge=1)] = 50
    """Trades in the minute; with fewer, one large trade would be a burst."""
    rest_minutes: Annotated[int, Field(ge=1, le=1440)] = 15

    @property
    def rest_ms(self) -> int:
        """Time without a finding that ends an episode, ms."""
        return self.rest_minutes * candle.MINUTE_MS


class SilentSymbol(_SymbolRule):
    """No trade for that long: of a symbol while others trade, or of the whole feed."""

    kind: Literal[AlertKind.SILENT_SYMBOL]
    of: Literal["symbol", "feed"] = "symbol"
    after_s: Annotated[float, Field(ge=5)]
    min_trades_per_hour: Annotated[float, Field(ge=0)] = 0.0
    """Of a symbol in the hour before its last trade; symbols that trade less are ignored."""


class FeedGap(_SymbolRule):
    """A producer reports that trades may be missing."""

    kind: Literal[AlertKind.FEED_GAP]
    min_s: Annotated[float, Field(ge=0)] = 0.0
    """Shorter gaps are ignored."""


class ModelBelowPrior(_Rule):
    """A model's Brier score over a clock-aligned window is worse than its prior's; one alert per run of windows."""

    kind: Literal[AlertKind.MODEL_BELOW_PRIOR]
    window_minutes: Literal[15, 30, 60, 120, 240, 480, 720, 1440] = 60
    margin: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much worse the Brier score must be."""
    min_predictions: Annotated[int, Field(ge=1)] = 1000
    grace_minutes: Annotated[int, Field(ge=0, le=120)] = 5
    """Minutes after the window's end in which the last predictions are scored."""


class ModelExpired(_Rule):
    """The served model has expired, or expires soon."""

    kind: Literal[AlertKind.MODEL_EXPIRED]
    ahead_hours: Annotated[float, Field(ge=0, le=8760)] = 0.0


Rule = Annotated[
    PriceMove | VolumeBurst | SilentSymbol | FeedGap | ModelBelowPrior | ModelExpired, Field(discriminator="kind")
]


class Rules(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notify_within_minutes: Annotated[float, Field(gt=0)] = 30.0
    """An older finding is stored, but not sent to the notifier."""
    rules: tuple[Rule, ...]


def load(path: Path | None) -> Rules:
    """Return the rules of a file; None: of the shipped one.

    Raises:
        RulesUnusable: the file cannot be read or is invalid; the message names each violation.
    """
    where = path or DEFAULT
    try:
        found: Any = yaml.safe_load(where.read_text(encoding="utf-8"))
        rules = Rules.model_validate(found)
    except (OSError, UnicodeDecodeError) as error:
        raise RulesUnusable(where, getattr(error, "strerror", None) or "not UTF-8") from None
    except yaml.YAMLError as error:
        raise RulesUnusable(where, " ".join(str(error).split())) from None
    except ValidationError as error:
        broken = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise RulesUnusable(where, "; ".join(broken)) from None
    given = [rule.name for rule in rules.rules]
    if len(set(given)) < len(given):
        raise RulesUnusable(where, f"names were {', '.join(given)}; each must be unique")
    return rules
