"""Promotion gate: decides whether a forest replaces the served model, with the reasons in words.

Pure. The forest must beat the prior beyond the noise of its own test, and rank better than chance.
To add a condition: add it to `decide`, with its reason.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from tapeline_trainer.model.metrics import Interval

Action = Literal["promote_forest", "promote_prior", "keep_current"]
_CHANCE: Final = 0.5


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """What the gate decided, and why."""

    action: Action
    reasons: tuple[str, ...]

    @property
    def promoted(self) -> bool:
        """True where the forest itself passed."""
        return self.action == "promote_forest"


def decide(brier_minus_prior: Interval, auc: float | None, has_current: bool) -> PromotionDecision:
    """Return the decision on a forest.

    Args:
        brier_minus_prior: Brier score of the forest minus that of the prior, on unseen later trades.
        auc: of the forest on the same trades; None where it is not defined.
        has_current: whether a forest is served that may stay, see `bundle.may_stay`.
    """
    held = brier_minus_prior.high < 0.0, auc is not None and auc > _CHANCE
    shown = "undefined" if auc is None or math.isnan(auc) else f"{auc:.4f}"
    reasons = (
        f"Brier difference to the prior: upper bound of the 95 % interval was {brier_minus_prior.high:+.6f}, "
        f"must be below 0: {_word(held[0])}",
        f"AUC was {shown}, must be above {_CHANCE}: {_word(held[1])}",
    )
    if all(held):
        return PromotionDecision("promote_forest", (*reasons, "the forest is promoted"))
    if has_current:
        return PromotionDecision("keep_current", (*reasons, "the forest is not promoted; the current model stays"))
    why = "the forest is not promoted; no forest was served that may stay, so the prior (a constant) is"
    return PromotionDecision("promote_prior", (*reasons, why))


def withdraw(decision: PromotionDecision, reason: str) -> PromotionDecision:
    """Return the decision after a failed roll-out: the current model stays.

    Args:
        decision: of the gate.
        reason: why the roll-out failed, in words.
    """
    return PromotionDecision("keep_current", (*decision.reasons, f"it is not served: {reason}"))


def _word(held: bool) -> str:
    return "holds" if held else "fails"
