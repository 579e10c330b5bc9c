"""Data views of Kibana, with the mappings of their fields. Pure.

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
class DataView:
    """One data view.

    Attributes:
        name: name in the sources.
        title: title in Kibana.
        pattern: index pattern.
        properties: fields of the mapping.
        market: fields that identify the market of a document; empty: none.
        patterns: number format by field, in numeral.js notation.
    """

    name: str
    title: str
    pattern: str
    properties: dict[str, dict[str, Any]]
    market: tuple[str, ...] = ("venue", "market_type", "symbol")
    patterns: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Return the id of the saved object."""
        return f"tapeline-{self.name}"

    def kind(self, name: str) -> str | None:
        """Return the Elasticsearch type of a field, None for an unknown field."""
        found = self.properties.get(name)
        return None if found is None else str(found["type"])

    def is_aggregatable(self, name: str) -> bool:
        """Return whether a field can be aggregated."""
        found = self.properties.get(name, {})
        return bool(found) and found["type"] != "text" and bool(found.get("doc_values", True))


# Prices range from 1e-8 to 1e5, so the number of digits varies.
_PRICE: Final = "0,0.[0000000000]"
# Documents of services/trainer; tests compare this with its mapping.
_EVALUATION: Final = {
    "@timestamp": _DATE,
    **dict.fromkeys(("digest", "parent_digest", "promoted_kind", "reasons", "rollout", "rollout_reason"), _KEYWORD),
    "promoted": {"type": "boolean"},
    **dict.fromkeys(("rows_train", "rows_test"), _LONG),
    **dict.fromkeys(("base_rate", "accuracy", "auc", "brier", "ece", "brier_minus_prior"), _DOUBLE),
}

_ALL: Final = (
    DataView(
        "trades",
        "Trades",
        f"{names.INDEX_TRADES_PREFIX}*",
        _fields(trade.elastic_mapping()),
        patterns={"price": _PRICE, "quantity": _PRICE, "base_quantity": _PRICE, "probability": "0.000"},
    ),
    DataView(
        "candles",
        "One-minute candles",
        f"{names.INDEX_CANDLES_PREFIX}*",
        _fields(candle.MAPPING),
        patterns=dict.fromkeys((*candle.PRICES, "volume", "buy_volume"), _PRICE),
    ),
    DataView("scores", "Prediction scores", f"{names.INDEX_SCORES_PREFIX}*", _fields(score.MAPPING)),
    DataView(
        "reconciliation",
        "Reconciliation by minute",
        f"{names.INDEX_RECONCILIATION_PREFIX}*",
        _fields(reconciliation.MAPPING),
    ),
    DataView("gaps", "Gaps", names.INDEX_GAPS, _fields(gap.MAPPING)),
    DataView("rejects", "Rejects", names.INDEX_REJECTS, _fields(reject.MAPPING), market=()),
    DataView("alerts", "Alerts", names.INDEX_ALERTS, _fields(alert.MAPPING)),
    DataView("evaluations", "Model evaluations", names.INDEX_MODELS, _EVALUATION, market=()),
)
VIEWS: Final = {view.name: view for view in _ALL}
BY_IDENTITY: Final = {view.identity: view for view in _ALL}
