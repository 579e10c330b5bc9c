"""Elasticsearch responses to rows: order, absent fields, unexpected fields."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from tapeline.enums import PredictionState
from tapeline.instrument import instrument_of
from tapeline_spark.evaluation import stored_trades


def hit(at_ms: int, price: float, **more: object) -> dict[str, Any]:
    fields = {
        "venue": "bybit",
        "market_type": "spot",
        "symbol": "BTCUSDT",
        "traded_at": str(at_ms),
        "frame_index": 0,
        "price": price,
    }
    fields |= {"is_buy": True, "prediction_state": PredictionState.OK, "sequence": 7} | more
    return {"fields": {name: [value] for name, value in fields.items() if value is not None}, "sort": [at_ms]}


def table(*found: dict[str, Any]) -> stored_trades.SymbolTrades:
    trades = stored_trades.SymbolTrades()
    for one in stored_trades.parse_hits(json.dumps({"hits": {"hits": found}}).encode()):
        trades.add(one.fields)
    return trades


def test_a_response_without_hits_is_empty():
    assert stored_trades.parse_hits(b"{}") == stored_trades.parse_hits(b'{"hits":{"hits":[]}}') == []


def test_rows_come_in_the_total_order_and_without_a_sequence_first():
    rows = table(
        hit(2_000, 5.0),
        hit(1_000, 3.0, sequence=9, frame_index=1),
        hit(1_000, 2.0, sequence=9),
        hit(1_000, 1.0, sequence=None),
        hit(1_000, 4.0, sequence=10),
    ).rows()
    assert rows.price.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert rows.traded_at_ms.tolist() == [1_000] * 4 + [2_000]


def test_a_probability_counts_only_where_the_state_is_ok():
    prediction = {"probability": 0.25, "prediction": 0, "model_digest": "m"}
    rows = table(
        hit(1, 1.0, **prediction), hit(2, 1.0, **prediction, prediction_state=PredictionState.LATE), hit(3, 1.0)
    ).rows()
    assert rows.probability[0] == 0.25 and np.isnan(rows.probability[1:]).all()
    assert rows.prediction.tolist() == [0, 0, -1]
    assert rows.model == ["m", "m", None]


def test_every_field_is_requested_under_its_own_name():
    assert {"venue", "market_type", "symbol", "traded_at", "sequence", "frame_index", "price"} <= set(
        stored_trades.FIELDS
    )
    (one,) = stored_trades.parse_hits(json.dumps({"hits": {"hits": [hit(1, 1.0)]}}).encode())
    assert (one.fields.instrument, one.sort) == (instrument_of("bybit", "spot", "BTCUSDT"), [1])


@pytest.mark.parametrize("missing", ["venue", "price", "traded_at", "prediction_state"])
def test_a_trade_without_what_every_trade_has_is_an_error_that_names_it(missing: str):
    found = hit(1, 1.0)
    del found["fields"][missing]
    with pytest.raises(msgspec.ValidationError, match=missing):
        table(found)
