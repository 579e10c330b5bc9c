"""Records and documents of the past are read for ever: tests/data/records/v1 holds one of each topic and index."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tapeline import names, trade
from tapeline.records import alert, candle, gap, reconciliation, reject, score
from tapeline_spark.kafka.decode import DecodedTrade, decode_trade
from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING

FOLDER = Path(__file__).resolve().parents[1] / "data" / "records" / "v1"
MAPPINGS: dict[str, dict[str, Any]] = {
    "trades": trade.elastic_mapping(),
    "gaps": gap.MAPPING,
    "rejects": reject.MAPPING,
    "candles": candle.MAPPING,
    "scores": score.MAPPING,
    "reconciliation": reconciliation.MAPPING,
    "alerts": alert.MAPPING,
    "models": VERDICT_MAPPING,
}
JSON_TYPES = {"keyword": str, "date": int, "long": int, "integer": int, "byte": int, "boolean": bool}


def frozen(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def fields(name: str) -> dict[str, Any]:
    return json.loads(frozen(name))


def test_there_is_a_file_for_every_topic_and_index() -> None:
    topics = {name for name in vars(names) if name.startswith("TOPIC_")} - {"TOPIC_SHARDS"}
    indices = {name for name in vars(names) if name.startswith("INDEX_")}
    found = {path.stem for path in FOLDER.glob("*.json")}
    assert {name for name in found if name.startswith("topic-")} == {
        f"topic-{name.removeprefix('TOPIC_').lower()}" for name in topics
    }
    assert {name for name in found if name.startswith("index-")} == {
        f"index-{name.removeprefix('INDEX_').removesuffix('_PREFIX').lower()}" for name in indices
    }


def test_a_trade_of_the_log_is_read_field_by_field() -> None:
    item = decode_trade(frozen("topic-trades"), names.TOPIC_TRADES, 0, 0)
    assert isinstance(item, DecodedTrade)
    assert {name: getattr(item.trade, name) for name in fields("topic-trades")} == fields("topic-trades")
    assert trade.WireTrade.model_validate_json(frozen("topic-trades")).model_dump() == fields("topic-trades")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("topic-gaps", gap.Gap),
        ("topic-rejects", reject.Reject),
        ("topic-counts", reconciliation.Count),
        ("topic-alerts", alert.Alert),
    ],
)
def test_the_other_topics_are_read_field_by_field(name: str, model: Any) -> None:
    assert model.model_validate_json(frozen(name)).model_dump() == fields(name)


def test_a_reject_gives_its_bytes_back() -> None:
    found = reject.Reject.model_validate_json(frozen("topic-rejects"))
    assert base64.b64decode(found.raw_base64) == b'{"p":"NaN"}'


@pytest.mark.parametrize("index", MAPPINGS)
def test_a_stored_document_fits_the_mapping_of_today(index: str) -> None:
    properties = MAPPINGS[index]["properties"]
    for name, value in fields(f"index-{index}").items():
        assert name in properties, f"{name} is stored and no longer mapped"
        kind = JSON_TYPES.get(properties[name]["type"])
        # Decimal text is stored as it came and indexed as a number.
        assert value is None or kind is None or isinstance(value, kind), name


def test_a_stored_trade_is_read_field_by_field() -> None:
    document = fields("index-trades")
    document.pop("@timestamp")
    assert trade.StoredTrade.model_validate_json(json.dumps(document)).model_dump() == document


@pytest.mark.parametrize(("index", "model"), [("gaps", gap.Gap), ("rejects", reject.Reject), ("alerts", alert.Alert)])
def test_stored_records_are_read_as_their_records(index: str, model: Any) -> None:
    document = fields(f"index-{index}")
    assert model.model_validate(document).model_dump().items() <= document.items()
