"""How past predictions turned out, per model, symbol and minute: sums, so that any span can be added up.

A prediction is scored when the next different price of its symbol is known. Shares and means are made by whoever
reads: hits / predictions, brier_sum / predictions, ups / predictions (the base rate).
"""

from typing import Any, Final

from tapeline.instrument import Instrument
from tapeline.records.mapping_types import DATE, DOUBLE, KEYWORD, LONG

BINS: Final = 10
"""Bins of equal width over probabilities 0 to 1; a probability of 1 is in the last."""


def bin_fields() -> tuple[str, ...]:
    """Return the names of the bins' counts and of their ups: `bin_0_predictions`, `bin_0_ups` and so on."""
    return tuple(f"bin_{number}_{what}" for number in range(BINS) for what in ("predictions", "ups"))


MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        # Start of the minute of the trades that were predicted for.
        "@timestamp": DATE,
        **dict.fromkeys(("venue", "market_type", "symbol", "model_digest"), KEYWORD),
        # Scored; of them right; of them followed by a higher price.
        **dict.fromkeys(("predictions", "hits", "ups"), LONG),
        # Not scored: no different price has followed yet, or a gap lies before it.
        "pending": LONG,
        # Of (probability - outcome)^2, of the prior's and of the is_buy rule's, and of the probabilities.
        **dict.fromkeys(("brier_sum", "prior_brier_sum", "rule_hits", "probability_sum"), DOUBLE),
        **dict.fromkeys(bin_fields(), LONG),
        # Sum over a bin's probabilities, for where its point lies.
        **{f"bin_{number}_probability_sum": DOUBLE for number in range(BINS)},
        "updated_at": DATE,
    },
}


def identity(instrument: Instrument, minute_ms: int, model_digest: str) -> str:
    """Return the document id: one per model, instrument and minute."""
    return f"{instrument.venue}|{instrument.market_type}|{instrument.symbol}|{minute_ms}|{model_digest}"
