"""What every panel must show, worked out from the documents by plain loops, without a look at the source.

Written by hand from the panels' titles: who changes a panel changes its line here, and says twice what it shows.
"""

import statistics
from collections.abc import Callable
from typing import Any

from stack.dashboards.documents import Document, minute_of

Row = dict[str, Any]
Documents = dict[str, list[Document]]


def of(documents: list[Document], **where: Any) -> list[Document]:
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
    return f"{document['symbol']} › {document['market_type']}"


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


def windows(name: str, *lengths: str) -> Callable[[Documents], list[Row]]:
    words = {"1m": "1 minute", "5m": "5 minutes", "15m": "15 minutes", "1h": "1 hour"}
    return lambda d: over_time_by_market(
        busiest(d["candles"]), lambda c: {words[length]: mean(c, f"{name}_{length}") for length in lengths}
    )


def scored(s: list[Document]) -> Row:
    return {
        "Predictions": total(s, "predictions"),
        "Right": total(s, "hits") / total(s, "predictions"),
        "Rule right": total(s, "rule_hits") / total(s, "predictions"),
        "Rises": total(s, "ups") / total(s, "predictions"),
        "Brier score": total(s, "brier_sum") / total(s, "predictions"),
        "Brier score of the prior": total(s, "prior_brier_sum") / total(s, "predictions"),
    }


def some(**renamed: str) -> Callable[[list[Document]], Row]:
    """Return some of `scored` under other names."""
    return lambda s: {name.replace("_", " "): scored(s)[old] for name, old in renamed.items()}


ALL_WINDOWS = ("1m", "5m", "15m", "1h")
MARKET: dict[str, Callable[[Documents], list[Row]]] = {
    "trades": lambda d: [{"Trades": len(d["trades"])}],
    "symbols": lambda d: [{"Symbols": len({each["symbol"] for each in d["trades"]})}],
    "predicted": lambda d: [
        {"With a prediction": len([t for t in d["trades"] if t["probability"] is not None]) / len(d["trades"])}
    ],
    "newest": lambda d: [{"Newest trade": newest(d["trades"])}],
    "price": lambda d: over_time_by_market(d["trades"], lambda t: {"Median price": middle(t, "price")}),
    "sides": lambda d: over_time_by_market(
        d["trades"],
        lambda t: {
            "Median price of buys": middle(of(t, side="Buy"), "price"),
            "Median price of sells": middle(of(t, side="Sell"), "price"),
        },
    ),
    "price-and-prediction": lambda d: over_time_by_market(
        of(d["trades"], prediction_state="ok"),
        lambda t: {"Median price": middle(t, "price"), "Mean chance of a rise": mean(t, "probability")},
    ),
    "long-and-short": lambda d: by(d["trades"], "Side", "side", lambda t: {"Trades": len(t)}),
    "sides-by-market": lambda d: by_market(
        d["trades"],
        lambda t: {"Bought": total(of(t, side="Buy"), "quantity"), "Sold": total(of(t, side="Sell"), "quantity")},
    ),
    "most-active": lambda d: by_market(d["trades"], lambda t: {"Trades": len(t)}),
    "volume-by-prediction": lambda d: by_market(
        of(d["trades"], prediction_state="ok"),
        lambda t: {
            "Trades": len(t),
            "Mean volume when up": (up := mean(of(t, prediction=1), "quantity")),
            "Mean volume when down": (down := mean(of(t, prediction=0), "quantity")),
            "Up against down": share(up or 0, down or 0),
        },
    ),
}
SYMBOL: dict[str, Callable[[Documents], list[Row]]] = {
    "returns": windows("return_bp", *ALL_WINDOWS),
    "volatility": windows("volatility_bp", *ALL_WINDOWS[1:]),
    "rate": windows("trades_per_s", *ALL_WINDOWS),
    "imbalance": windows("imbalance", *ALL_WINDOWS),
    "windows": windows("volume", *ALL_WINDOWS),
    "bought": lambda d: over_time_by_market(
        busiest(d["candles"]), lambda c: {"Share of buys": total(c, "buy_volume") / total(c, "volume")}
    ),
    "trades": lambda d: over_time_by_market(
        busiest(d["candles"]),
        lambda c: {
            "Trades": total(c, "trades"),
            "Came late": total(c, "late_trades"),
            "Came too late for their candle": total(c, "missed_trades"),
        },
    ),
}
MODEL: dict[str, Callable[[Documents], list[Row]]] = {
    "scored": lambda d: [some(Predictions="Predictions")(d["scores"])],
    "right": lambda d: [some(Right="Right")(d["scores"])],
    "brier": lambda d: [some(Brier_score="Brier score")(d["scores"])],
    "prior": lambda d: [{"Brier score of the prior": scored(d["scores"])["Brier score of the prior"]}],
    "hits": lambda d: [
        {("Rises (base rate)" if name == "Rises" else name): value for name, value in row.items()}
        for row in over_time(d["scores"], some(Model="Right", Rule="Rule right", Rises="Rises"))
    ],
    "brier-over-time": lambda d: over_time(d["scores"], some(Model="Brier score", Prior="Brier score of the prior")),
    "hours": lambda d: each_of(d["scores"], some(Model="Brier score", Prior="Brier score of the prior"), Time=hour_of),
    "markets": lambda d: by_market(d["scores"], scored),
    "models": lambda d: by(d["scores"], "Model", "model_digest", scored),
    "states": lambda d: each_of(
        d["trades"], lambda t: {"Trades": len(t)}, State=lambda t: t["prediction_state"], Time=minute_of
    ),
    "versions": lambda d: each_of(
        of(d["trades"], prediction_state="ok"),
        lambda t: {"Trades": len(t)},
        Model=lambda t: t["model_digest"],
        Time=minute_of,
    ),
    "verdicts": lambda d: by(
        d["verdicts"],
        "Candidate",
        "digest",
        lambda v: {
            "Judged at": newest(v),
            "Promoted": len(of(v, promoted=True)),
            "Brier score": mean(v, "brier"),
            "Less than the prior's by": mean(v, "brier_minus_prior"),
            "Area under the curve": mean(v, "auc"),
            "Accuracy": mean(v, "accuracy"),
            "Rows learnt from": max(numbers(v, "rows_train")),
        },
    ),
    "rollouts": lambda d: by(
        d["verdicts"], "Roll-out", "rollout", lambda v: {"Training runs": len(v), "Last": newest(v)}
    ),
    "reasons": lambda d: by(
        [{**v, "reason": reason} for v in d["verdicts"] for reason in v["reasons"]],
        "Reason",
        "reason",
        lambda v: {"Training runs": len(v), "Last": newest(v)},
    ),
}
COMPLETENESS: dict[str, Callable[[Documents], list[Row]]] = {
    "balanced": lambda d: [
        {"Minutes that balance": len(of(d["reconciliation"], state="complete")) / len(d["reconciliation"])}
    ],
    "received": lambda d: [{"Received": total(d["reconciliation"], "received")}],
    "indexed": lambda d: [{"Indexed": total(d["reconciliation"], "indexed")}],
    "delay": lambda d: [{"95th percentile": below(d["trades"], "traded_at", "indexed_at", 95)}],
    "states": lambda d: over_time(
        d["reconciliation"],
        lambda c: {
            "Complete": len(of(c, state="complete")),
            "Hole in the feed": len(of(c, state="gap")),
            "Incomplete": len(of(c, state="incomplete")),
            "Still open": len(of(c, state="open")),
        },
    ),
    "ledger": lambda d: over_time(
        d["reconciliation"],
        lambda c: {
            "Read from the exchange": total(c, "received"),
            "Taken by Kafka": total(c, "produced"),
            "Distinct in the log": total(c, "distinct"),
            "In Elasticsearch": total(c, "indexed"),
        },
    ),
    "lag": lambda d: over_time(
        d["reconciliation"],
        lambda c: {
            "Read and not in Kafka": total(c, "received") - total(c, "produced"),
            "In Kafka and not in Elasticsearch": total(c, "distinct") - total(c, "indexed"),
        },
    ),
    "markets": lambda d: by_market(
        d["reconciliation"],
        lambda c: {
            "Incomplete minutes": len(of(c, state="incomplete")),
            "Read from the exchange": total(c, "received"),
            "Taken by Kafka": total(c, "produced"),
            "In the log": total(c, "logged"),
            "Distinct in the log": total(c, "distinct"),
            "In Elasticsearch": total(c, "indexed"),
            "Rejected": total(c, "rejected"),
            "Holes": total(c, "gaps"),
        },
    ),
    "percentiles": lambda d: over_time(
        d["trades"],
        lambda t: {
            "Half of them": below(t, "traded_at", "indexed_at", 50),
            "95 of 100": below(t, "traded_at", "indexed_at", 95),
            "99 of 100": below(t, "traded_at", "indexed_at", 99),
        },
    ),
    "shares": lambda d: over_time(
        d["trades"],
        lambda t: {
            "Exchange to us": below(t, "traded_at", "received_at", 95),
            "Our own": below(t, "received_at", "indexed_at", 95),
        },
    ),
    "sources": lambda d: over_time(
        d["trades"], lambda t: {"Live": len(of(t, source="stream")), "Filled in": len(of(t, source="backfill"))}
    ),
    "rejects": lambda d: each_of(
        d["rejects"],
        lambda r: {"Records": len(r), "Last": newest(r)},
        **{"Who could not read it": lambda r: r["origin"], "Why": lambda r: r["reason"]},
    ),
}
TRUTH = {
    "tapeline-market": MARKET,
    "tapeline-symbol": SYMBOL,
    "tapeline-model": MODEL,
    "tapeline-reconciliation": COMPLETENESS,
}
