"""The record that producers write, and the document that comes of it."""

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError
from tapeline import instrument
from tapeline.instrument import SYMBOL_PATTERN, Instrument
from tapeline.records import reconciliation
from tapeline.records.reconciliation import Count

RECORD = {
    "producer": "4f2a.0", "venue": "bybit", "market_type": "spot", "symbol": "BTCUSDT", "minute": 1_790_000_040_000,
    "received": 3, "duplicates": 1, "produced": 2, "counted_at": 1_790_000_045_000,
}  # fmt: skip


def read(**changes: Any) -> Count:
    return Count.model_validate_json(json.dumps({**RECORD, **changes}))


def test_count_reads_what_it_wrote():
    count = read()
    assert Count.model_validate_json(count.model_dump_json()) == count


@pytest.mark.parametrize(
    "changes",
    [
        {"received": -1},
        {"produced": "2"},
        {"minute": 1_790_000_040},
        {"market_type": "option"},
        {"symbol": "BTC USDT"},
        {"producer": ""},
    ],
)
def test_count_that_cannot_be_true_is_refused(changes: dict[str, Any]):
    with pytest.raises(ValidationError):
        read(**changes)


def test_a_field_of_a_later_release_is_ignored():
    assert read(lost=1) == read()


def test_mapping_is_strict_and_counts_are_long():
    assert reconciliation.MAPPING["dynamic"] == "strict"
    kinds = {name: field["type"] for name, field in reconciliation.MAPPING["properties"].items()}
    hands = ("received", "produced", "logged", "distinct", "indexed", "rejected", "gaps")
    assert {kinds[name] for name in hands} == {"long"}
    assert kinds["state"] == "keyword"


def test_unknown_symbol_can_never_be_one_of_an_exchange():
    assert not re.fullmatch(SYMBOL_PATTERN, instrument.UNKNOWN_SYMBOL)


def test_one_document_a_symbol_and_minute():
    assert (
        reconciliation.identity(Instrument.parse("bybit:linear:ETHUSDT"), 1_790_000_040_000)
        == "bybit|linear|ETHUSDT|1790000040000"
    )
