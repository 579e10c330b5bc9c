import base64
import json

from tapeline.records.gap import Gap
from tapeline.trade import StoredTrade, elastic_mapping
from tapeline_spark.elastic.documents import (
    PredictionResult,
    gap_operation,
    refused_operation,
    reject_operation,
    trade_operation,
    unreadable_operation,
)
from tapeline_spark.kafka.decode import decode_trade

from unit.spark.trade_factories import START_MS, record


def gap(**changes):
    fields = {
        "venue": "bybit",
        "market_type": "linear",
        "symbol": "BTCUSDT",
        "reason": "reconnect",
        "detected_at": START_MS,
        "from_traded_at": START_MS - 9000,
        "from_trade_id": "a",
        "to_traded_at": START_MS - 1,
        "to_trade_id": "b",
        "backfilled": 3,
    }
    return Gap(**(fields | changes))


def test_a_trade_is_a_document_of_its_own_day_under_its_identity():
    operation = trade_operation(record(traded_at=1_767_225_599_999, trade_id="x"), PredictionResult("late"), START_MS)
    assert operation.index == "tapeline-trades-2025.12.31"
    assert operation.identity == "bybit|spot|BTCUSDT|x"


def test_a_document_holds_the_whole_stored_record_and_only_mapped_fields():
    result = PredictionResult("ok", 0.25, 0, "abc")
    document = json.loads(trade_operation(record(), result, START_MS).source)
    assert set(document) == set(elastic_mapping()["properties"])
    del document["@timestamp"]
    assert StoredTrade.model_validate_json(json.dumps(document)).probability == 0.25


def test_a_trade_without_a_model_has_no_number():
    document = json.loads(trade_operation(record(), PredictionResult("model_unavailable"), START_MS).source)
    assert document["probability"] is None and document["prediction"] is None


def test_an_unreadable_value_keeps_its_bytes_and_its_place_in_the_log():
    operation = unreadable_operation(decode_trade(b"\xff{", "bybit-trades", 1, 42), START_MS)
    document = json.loads(operation.source)
    assert base64.b64decode(document["raw_base64"]) == b"\xff{"
    assert operation.identity == "bybit-trades|1|42"


def test_a_refused_document_becomes_a_reject_with_elasticsearchs_reason():
    trade = trade_operation(record(offset=5), PredictionResult("late"), START_MS)
    document = json.loads(refused_operation(trade, "strict_dynamic_mapping_exception", START_MS).source)
    assert document["origin"] == "elasticsearch"
    assert document["reason"] == "strict_dynamic_mapping_exception"
    assert base64.b64decode(document["raw_base64"]) == trade.source


def test_a_gap_reported_twice_is_one_document():
    first = gap_operation(gap().model_dump_json().encode(), "trade-gaps", 0, 1, START_MS)
    second = gap_operation(gap(detected_at=START_MS + 5).model_dump_json().encode(), "trade-gaps", 0, 2, START_MS)
    assert first.index == "tapeline-gaps"
    assert first.identity == second.identity


def test_an_unreadable_gap_or_reject_report_is_itself_a_reject():
    for make in (gap_operation, reject_operation):
        operation = make(b"not json", "trade-gaps", 0, 1, START_MS)
        assert operation.index == "tapeline-rejects"
