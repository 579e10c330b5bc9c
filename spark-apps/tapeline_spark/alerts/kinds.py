"""What each kind of alert rule is made of: its class, what it is evaluated on, and the function that finds.

To add a kind: a member of tapeline.enums.AlertKind, its rule class in rule_config.py, its function in rules.py, and an
entry in KINDS.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from tapeline.enums import AlertKind

from tapeline_spark.alerts import rules
from tapeline_spark.alerts.rule_config import (
    FeedGap,
    ModelBelowPrior,
    ModelExpired,
    PriceMove,
    Rule,
    SilentSymbol,
    VolumeBurst,
)
from tapeline_spark.alerts.rules import Finding


class Subject(Enum):
    """What a rule is evaluated on, and so when, and with which arguments after the rule."""

    CANDLE = "instrument, candle"
    GAP = "gap record"
    SILENCE = "clocks, instruments' last trades, rates and the local clock"
    SCORES = "venue, model digest, start of the window, its sums and those of the window before"
    SERVED_MODEL = "model digest, expiry and the local clock"


class Kind(NamedTuple):
    """One kind of rule."""

    rule: type[Rule]
    subject: Subject
    find: Callable[..., Iterable[Finding] | Finding | None]


KINDS: Final[Mapping[AlertKind, Kind]] = {
    AlertKind.PRICE_MOVE: Kind(PriceMove, Subject.CANDLE, rules.price_moves),
    AlertKind.VOLUME_BURST: Kind(VolumeBurst, Subject.CANDLE, rules.volume_burst),
    AlertKind.SILENT_SYMBOL: Kind(SilentSymbol, Subject.SILENCE, rules.silences),
    AlertKind.FEED_GAP: Kind(FeedGap, Subject.GAP, rules.feed_gap),
    AlertKind.MODEL_BELOW_PRIOR: Kind(ModelBelowPrior, Subject.SCORES, rules.below_prior),
    AlertKind.MODEL_EXPIRED: Kind(ModelExpired, Subject.SERVED_MODEL, rules.expired),
}


def rules_on(subject: Subject, configured: Sequence[Rule]) -> list[Any]:
    """Return the rules that are evaluated on a subject, in their order."""
    return [rule for rule in configured if KINDS[rule.kind].subject is subject]


def find(rule: Rule, *subject: Any) -> Iterator[Finding]:
    """Yield the findings of a rule.

    Args:
        rule: to evaluate.
        subject: see `Subject`.
    """
    found = KINDS[rule.kind].find(rule, *subject)
    if isinstance(found, Finding):
        yield found
    elif found is not None:
        yield from found
