"""The slow way to the scores of predictions: every stored trade in pandas, and what followed each."""

from typing import Any

import pandas as pd
import pytest
from elasticsearch import Elasticsearch
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline.records import candle, score

from stack.assertions import read_if_available

MINUTE_MS = candle.MINUTE_MS
INSTRUMENT = ["venue", "market_type", "symbol"]


def documents(client: Elasticsearch, index: str) -> dict[str, dict[str, Any]]:
    """Return every document of some indices by its id."""
    client.indices.refresh(index=index, ignore_unavailable=True)
    answer = read_if_available(lambda: client.search(index=index, size=10_000, sort=["_doc"], ignore_unavailable=True))
    found = answer["hits"]["hits"] if answer else []
    assert len(found) < 10_000
    return {hit["_id"]: hit["_source"] for hit in found}


def trades(client: Elasticsearch) -> pd.DataFrame:
    """Return every stored trade, each symbol's in its total order."""
    client.indices.refresh(index=f"{names.INDEX_TRADES_PREFIX}*")
    rows, after = [], None
    while True:
        page = client.search(
            index=f"{names.INDEX_TRADES_PREFIX}*",
            size=10_000,
            sort=["traded_at", "sequence", "frame_index", "venue", "market_type", "symbol"],
            **({} if after is None else {"search_after": after}),
        )["hits"]["hits"]
        if not page:
            break
        rows += [hit["_source"] for hit in page]
        after = page[-1]["sort"]
    table = pd.DataFrame(rows)
    table["minute"] = table["traded_at"] - table["traded_at"] % MINUTE_MS
    table["price"] = table["price"].astype(float)
    return table.sort_values([*INSTRUMENT, "traded_at", "sequence", "frame_index"], ignore_index=True)


def with_outcomes(table: pd.DataFrame, gaps: list[dict[str, Any]]) -> pd.DataFrame:
    """Add what followed each trade: the next different price of its symbol, nan where none is known."""
    parts = []
    for instrument, part in table.groupby(INSTRUMENT):
        cuts = pd.Series(False, index=part.index)
        before = part["traded_at"].shift()
        for gap in gaps:
            if tuple(gap[name] for name in INSTRUMENT) == instrument:
                cuts |= (before <= gap["to_traded_at"]) & (part["traded_at"] >= gap["from_traded_at"])
        run = ((part["price"] != part["price"].shift()) | cuts).cumsum()
        runs = part.assign(cut=cuts).groupby(run).agg(price=("price", "first"), cut=("cut", "first"))
        following = runs["price"].shift(-1).where(~runs["cut"].shift(-1, fill_value=True))
        parts.append(part.assign(following=run.map(following)))
    return pd.concat(parts)


def expected_scores(client: Elasticsearch) -> dict[str, dict[str, float]]:
    """Return the sums that the documents of trades stand for, by the id of their score."""
    gaps = list(documents(client, names.INDEX_GAPS).values())
    table = with_outcomes(trades(client), gaps)
    said = table[table["prediction_state"] == "ok"].copy()
    said["up"] = (said["following"] > said["price"]).astype(float).where(said["following"].notna())
    said["hit"] = (said["prediction"] == said["up"]).where(said["up"].notna())
    said["loss"] = (said["probability"] - said["up"]) ** 2
    said["rule"] = (said["is_buy"].astype(float) == said["up"]).where(said["up"].notna())
    found = {}
    for (*instrument, minute, digest), part in said.groupby([*INSTRUMENT, "minute", "model_digest"]):
        answered = part[part["up"].notna()]
        found[score.identity(instrument_of(*instrument), int(minute), digest)] = {
            "predictions": len(answered),
            "pending": len(part) - len(answered),
            "hits": answered["hit"].sum(),
            "ups": answered["up"].sum(),
            "rule_hits": answered["rule"].sum(),
            "brier_sum": answered["loss"].sum(),
            "probability_sum": answered["probability"].sum(),
            "prior_brier_sum": len(answered) * 0.25,
        }
    return found


def wrong_scores(client: Elasticsearch, until_ms: int) -> dict[str, Any]:
    """Return what differs between the stored scores and the trades they speak of, up to some minute."""
    stored = documents(client, f"{names.INDEX_SCORES_PREFIX}*")
    differing = {}
    for identity, wanted in expected_scores(client).items():
        if int(identity.split("|")[3]) >= until_ms:
            continue
        found = stored.get(identity)
        if found is None or any(found[name] != pytest.approx(value, rel=1e-9) for name, value in wanted.items()):
            differing[identity] = {name: (None if found is None else found[name], wanted[name]) for name in wanted}
    return differing
