"""Computes the expected rows of every panel from the documents, by plain loops, independently of the sources.

Written by hand from the panel titles: a change of a panel needs the same change here.
"""

import statistics
from collections.abc import Callable
from typing import Any

from stack.dashboards.documents import Document, minute_of

Row = dict[str, Any]
Documents = dict[str, list[Document]]


def rows_where(documents: list[Document], **where: Any) -> list[Document]:
    return [each for each in documents if all(each.get(name) == value for name, value in where.items())]


def numbers(documents: list[Document], field: str) -> list[float]:
    return [float(each[field]) for each in documents if each.get(field) is not None]


def total(documents: list[Document], field: str) -> float:
    return sum(numbers(documents, field))


def mean(documents: list[Document], field: str) -> float | None:
    found = numbers(documents, field)
    return sum(found) / len(found) if found else None


def middle(documents: list[Document], field: str) -> float | None:
    found = numbers(documents, field)
    return statistics.median(found) if found else None


def below(documents: list[Document], start: str, end: str, percent: int) -> float | None:
    """Return a percentile of the milliseconds between two dates, between neighbours by proportion."""
    found = sorted(each[end] - each[start] for each in documents)
    if not found:
        return None
    place = (len(found) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(found) - 1)
    return float(found[low] + (found[high] - found[low]) * (place - low))


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def newest(documents: list[Document]) -> float | None:
    return max(numbers(documents, "@timestamp"), default=None)


def market_of(document: Document) -> str:
    return " › ".join(document[name] for name in ("venue", "market_type", "symbol"))


def hour_of(document: Document) -> int:
    return int(document["@timestamp"]) // 3_600_000 * 3_600_000


def each_of(documents: list[Document], make: Callable[[list[Document]], Row], **keys: Callable[[Document], Any]) -> Any:
    """Return a row for every combination of keys that some document has."""
    groups: dict[tuple[Any, ...], list[Document]] = {}
    for each in documents:
        groups.setdefault(tuple(key(each) for key in keys.values()), []).append(each)
    return [dict(zip(keys, found, strict=True)) | make(inside) for found, inside in groups.items()]


def over_time(documents: list[Document], make: Callable[[list[Document]], Row]) -> list[Row]:
    return each_of(documents, make, Time=minute_of)


def over_time_by_market(documents: list[Document], make: Callable[[list[Document]], Row]) -> list[Row]:
    return each_of(documents, make, Market=market_of, Time=minute_of)


def by_market(documents: list[Document], make: Callable[[list[Document]], Row]) -> list[Row]:
    return each_of(documents, make, Market=market_of)


def by(documents: list[Document], name: str, field: str, make: Callable[[list[Document]], Row]) -> list[Row]:
    return each_of([d for d in documents if d.get(field) is not None], make, **{name: lambda each: each[field]})


def busiest(documents: list[Document]) -> list[Document]:
    """Return the candles of the market with most trades."""
    counts: dict[str, float] = {}
    for each in documents:
        counts[market_of(each)] = counts.get(market_of(each), 0) + each["trades"]
    first = max(counts, key=lambda market: counts[market])
    return [each for each in documents if market_of(each) == first]


def of_busiest(documents: list[Document], count: int) -> list[Document]:
    """Return the documents of the markets with most documents."""
    sizes: dict[str, int] = {}
    for each in documents:
        sizes[market_of(each)] = sizes.get(market_of(each), 0) + 1
    shown = sorted(sizes, key=lambda market: (-sizes[market], market))[:count]
    return [each for each in documents if market_of(each) in shown]


def windows(name: str, *lengths: str) -> Callable[[Documents], list[Row]]:
    words = {"1m": "1 minute", "5m": "5 minutes", "15m": "15 minutes", "1h": "1 hour"}
    return lambda d: over_time_by_market(
        busiest(d["candles"]), lambda c: {words[length]: mean(c, f"{name}_{length}") for length in lengths}
    )


def scored(s: list[Document]) -> Row:
    return {
        "Predictions": total(s, "predictions"),
        "Accuracy": total(s, "hits") / total(s, "predictions"),
        "Baseline accuracy": total(s, "rule_hits") / total(s, "predictions"),
        "Base rate": total(s, "ups") / total(s, "predictions"),
        "Brier score": total(s, "brier_sum") / total(s, "predictions"),
        "Brier score of the prior": total(s, "prior_brier_sum") / total(s, "predictions"),
    }


def some(**renamed: str) -> Callable[[list[Document]], Row]:
    """Return some values of `scored` under other names."""
    return lambda s: {name.replace("_", " "): scored(s)[old] for name, old in renamed.items()}


ALL_WINDOWS = ("1m", "5m", "15m", "1h")
MARKET: dict[str, Callable[[Documents], list[Row]]] = {
    "trades": lambda d: [{"Trades": len(d["trades"])}],
    "symbols": lambda d: [{"Symbols": len({each["symbol"] for each in d["trades"]})}],
    "predicted": lambda d: [
        {"With prediction": len([t for t in d["trades"] if t["probability"] is not None]) / len(d["trades"])}
    ],
    "latest": lambda d: [{"Latest trade": newest(d["trades"])}],
    "price": lambda d: over_time_by_market(d["trades"], lambda t: {"Median price": middle(t, "price")}),
    "sides": lambda d: over_time_by_market(
        d["trades"],
        lambda t: {
            "Median buy price": middle(rows_where(t, side="Buy"), "price"),
            "Median sell price": middle(rows_where(t, side="Sell"), "price"),
        },
    ),
    "price-and-prediction": lambda d: over_time_by_market(
        of_busiest(rows_where(d["trades"], prediction_state="ok"), 3),
        lambda t: {"Median price": middle(t, "price"), "Mean rise probability": mean(t, "probability")},
    ),
    "trades-by-side": lambda d: by(d["trades"], "Side", "side", lambda t: {"Trades": len(t)}),
    "volume-by-side": lambda d: by_market(
        d["trades"],
        lambda t: {
            "Buy volume": total(rows_where(t, side="Buy"), "base_quantity"),
            "Sell volume": total(rows_where(t, side="Sell"), "base_quantity"),
        },
    ),
    "most-active": lambda d: by_market(d["trades"], lambda t: {"Trades": len(t)}),
    "size-by-prediction": lambda d: by_market(
        rows_where(d["trades"], prediction_state="ok"),
        lambda t: {
            "Trades": len(t),
            "Mean size predicted up": (up := mean(rows_where(t, prediction=1), "base_quantity")),
            "Mean size predicted down": (down := mean(rows_where(t, prediction=0), "base_quantity")),
            "Up/down size ratio": share(up or 0, down or 0),
        },
    ),
}
SYMBOL: dict[str, Callable[[Documents], list[Row]]] = {
    "returns": windows("return_bp", *ALL_WINDOWS),
    "volatility": windows("volatility_bp", *ALL_WINDOWS[1:]),
    "rate": windows("trades_per_s", *ALL_WINDOWS),
    "imbalance": windows("imbalance", *ALL_WINDOWS),
    "volume": windows("volume", *ALL_WINDOWS),
    "buy-share": lambda d: over_time_by_market(
        busiest(d["candles"]), lambda c: {"Buy share": total(c, "buy_volume") / total(c, "volume")}
    ),
    "trades": lambda d: over_time_by_market(
        busiest(d["candles"]),
        lambda c: {
            "Trades": total(c, "trades"),
            "Late trades": total(c, "late_trades"),
            "Missed trades": total(c, "missed_trades"),
        },
    ),
}
MODEL: dict[str, Callable[[Documents], list[Row]]] = {
    "scored": lambda d: [some(Predictions="Predictions")(d["scores"])],
    "accuracy": lambda d: [some(Accuracy="Accuracy")(d["scores"])],
    "brier": lambda d: [some(Brier_score="Brier score")(d["scores"])],
    "prior": lambda d: [{"Brier score of the prior": scored(d["scores"])["Brier score of the prior"]}],
    "accuracy-over-time": lambda d: over_time(
        d["scores"], some(Model="Accuracy", Baseline="Baseline accuracy", Base_rate="Base rate")
    ),
    "brier-over-time": lambda d: over_time(d["scores"], some(Model="Brier score", Prior="Brier score of the prior")),
    "brier-by-hour": lambda d: each_of(
        d["scores"], some(Model="Brier score", Prior="Brier score of the prior"), Time=hour_of
    ),
    "markets": lambda d: by_market(d["scores"], scored),
    "models": lambda d: by(d["scores"], "Model", "model_digest", scored),
    "states": lambda d: each_of(
        d["trades"], lambda t: {"Trades": len(t)}, State=lambda t: t["prediction_state"], Time=minute_of
    ),
    "versions": lambda d: each_of(
        rows_where(d["trades"], prediction_state="ok"),
        lambda t: {"Trades": len(t)},
        Model=lambda t: t["model_digest"],
        Time=minute_of,
    ),
    "evaluations": lambda d: by(
        d["evaluations"],
        "Candidate",
        "digest",
        lambda v: {
            "Evaluated at": newest(v),
            "Promoted": len(rows_where(v, promoted=True)),
            "Brier score": mean(v, "brier"),
            "Brier score minus prior": mean(v, "brier_minus_prior"),
            "AUC": mean(v, "auc"),
            "Accuracy": mean(v, "accuracy"),
            "Training rows": max(numbers(v, "rows_train")),
        },
    ),
    "rollouts": lambda d: by(
        d["evaluations"], "Roll-out", "rollout", lambda v: {"Training runs": len(v), "Latest run": newest(v)}
    ),
    "reasons": lambda d: by(
        [{**v, "reason": reason} for v in d["evaluations"] for reason in v["reasons"]],
        "Reason",
        "reason",
        lambda v: {"Training runs": len(v), "Latest run": newest(v)},
    ),
}
RECONCILIATION: dict[str, Callable[[Documents], list[Row]]] = {
    "reconciled": lambda d: [
        {"Reconciled minutes": len(rows_where(d["reconciliation"], state="complete")) / len(d["reconciliation"])}
    ],
    "received": lambda d: [{"Received": total(d["reconciliation"], "received")}],
    "indexed": lambda d: [{"Indexed": total(d["reconciliation"], "indexed")}],
    "latency": lambda d: [{"p95": below(d["trades"], "traded_at", "indexed_at", 95)}],
    "states": lambda d: over_time(
        d["reconciliation"],
        lambda c: {
            "Reconciled": len(rows_where(c, state="complete")),
            "Gap": len(rows_where(c, state="gap")),
            "Not reconciled": len(rows_where(c, state="incomplete")),
            "Open": len(rows_where(c, state="open")),
        },
    ),
    "stage-counts": lambda d: over_time(
        d["reconciliation"],
        lambda c: {
            "Received": total(c, "received"),
            "Produced": total(c, "produced"),
            "Distinct": total(c, "distinct"),
            "Indexed": total(c, "indexed"),
        },
    ),
    "stage-lag": lambda d: over_time(
        d["reconciliation"],
        lambda c: {
            "Received minus produced": total(c, "received") - total(c, "produced"),
            "Distinct minus indexed": total(c, "distinct") - total(c, "indexed"),
        },
    ),
    "markets": lambda d: by_market(
        d["reconciliation"],
        lambda c: {
            "Minutes not reconciled": len(rows_where(c, state="incomplete")),
            "Received": total(c, "received"),
            "Produced": total(c, "produced"),
            "Logged": total(c, "logged"),
            "Distinct": total(c, "distinct"),
            "Indexed": total(c, "indexed"),
            "Rejected": total(c, "rejected"),
            "Gaps": total(c, "gaps"),
        },
    ),
    "latency-percentiles": lambda d: over_time(
        d["trades"],
        lambda t: {
            "p50": below(t, "traded_at", "indexed_at", 50),
            "p95": below(t, "traded_at", "indexed_at", 95),
            "p99": below(t, "traded_at", "indexed_at", 99),
        },
    ),
    "latency-parts": lambda d: over_time(
        d["trades"],
        lambda t: {
            "Feed": below(t, "traded_at", "received_at", 95),
            "Pipeline": below(t, "received_at", "indexed_at", 95),
        },
    ),
    "sources": lambda d: over_time(
        d["trades"],
        lambda t: {"Stream": len(rows_where(t, source="stream")), "Backfill": len(rows_where(t, source="backfill"))},
    ),
    "rejects": lambda d: each_of(
        d["rejects"],
        lambda r: {"Records": len(r), "Latest": newest(r)},
        **{"Origin": lambda r: r["origin"], "Reason": lambda r: r["reason"]},
    ),
}
EXPECTED = {
    "tapeline-market": MARKET,
    "tapeline-symbol": SYMBOL,
    "tapeline-model": MODEL,
    "tapeline-reconciliation": RECONCILIATION,
}
