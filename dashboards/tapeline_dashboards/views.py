"""What can be looked at: each data view of Kibana, and the mapping that says which fields it has. Pure.

To add one: add it to VIEWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tapeline import names, trade
from tapeline.records import (
    alert,
    candle,
    gap,
    reconciliation,
    reject,
    score,
)

NUMBERS: Final = frozenset({"double", "float", "long", "integer", "short", "byte"})
_DATE: Final = {"type": "date"}
_KEYWORD: Final = {"type": "keyword"}
_DOUBLE: Final = {"type": "double"}
_LONG: Final = {"type": "long"}


def _fields(mapping: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(mapping["properties"])


@dataclass(frozen=True)
class View:
    """One data view.

    Attributes:
        name: as the sources call it.
        title: as a person reads it in Kibana.
        pattern: of the indices behind it.
        properties: fields of their mapping.
        market: fields that together say which market a document is of; empty: none do.
        patterns: how numbers are written, by field, in numeral.js's notation.
    """

    name: str
    title: str
    pattern: str
    properties: dict[str, dict[str, Any]]
    market: tuple[str, ...] = ("symbol", "market_type")
    patterns: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Return the id of its saved object."""
        return f"tapeline-{self.name}"

    def kind(self, name: str) -> str | None:
        """Return the Elasticsearch type of a field, None where there is no such field."""
        found = self.properties.get(name)
        return None if found is None else str(found["type"])

    def is_aggregatable(self, name: str) -> bool:
        """Tell whether a field can be counted by, or worked with."""
        found = self.properties.get(name, {})
        return bool(found) and found["type"] != "text" and bool(found.get("doc_values", True))


# Prices go from 1e-8 to 1e5, so digits are shown as they are needed.
_PRICE: Final = "0,0.[0000000000]"
# What services/trainer writes; tests hold this against its own mapping.
_VERDICT: Final = {
    "@timestamp": _DATE,
    **dict.fromkeys(("digest", "parent_digest", "promoted_kind", "reasons", "rollout", "rollout_reason"), _KEYWORD),
    "promoted": {"type": "boolean"},
    **dict.fromkeys(("rows_train", "rows_test"), _LONG),
    **dict.fromkeys(("base_rate", "accuracy", "auc", "brier", "ece", "brier_minus_prior"), _DOUBLE),
}

_ALL: Final = (
    View(
        "trades",
        "Trades",
        f"{names.INDEX_TRADES_PREFIX}*",
        _fields(trade.elastic_mapping()),
        patterns={"price": _PRICE, "quantity": _PRICE, "probability": "0.000"},
    ),
    View(
        "candles",
        "Candles of one minute",
        f"{names.INDEX_CANDLES_PREFIX}*",
        _fields(candle.MAPPING),
        patterns=dict.fromkeys((*candle.PRICES, "volume", "buy_volume"), _PRICE),
    ),
    View("scores", "How predictions turned out", f"{names.INDEX_SCORES_PREFIX}*", _fields(score.MAPPING)),
    View(
        "reconciliation",
        "Books of each minute",
        f"{names.INDEX_RECONCILIATION_PREFIX}*",
        _fields(reconciliation.MAPPING),
    ),
    View("gaps", "Holes in the feed", names.INDEX_GAPS, _fields(gap.MAPPING)),
    View("rejects", "What could not be read", names.INDEX_REJECTS, _fields(reject.MAPPING), market=()),
    View("alerts", "What rules found", names.INDEX_ALERTS, _fields(alert.MAPPING)),
    View("verdicts", "Training verdicts", names.INDEX_MODELS, _VERDICT, market=()),
)
VIEWS: Final = {view.name: view for view in _ALL}
BY_IDENTITY: Final = {view.identity: view for view in _ALL}
