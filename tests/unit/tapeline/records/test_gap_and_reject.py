import base64

import pytest
from pydantic import ValidationError
from tapeline.records import gap, reject
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject

NOW_MS = 1_790_000_000_000
GAP = {
    "venue": "bybit",
    "market_type": "spot",
    "symbol": "BTCUSDT",
    "reason": "restart",
    "detected_at": NOW_MS,
    "from_traded_at": NOW_MS - 5000,
    "from_trade_id": "1",
    "to_traded_at": NOW_MS - 10,
    "to_trade_id": "9",
    "backfilled": 0,
}


def test_a_gap_is_known_by_its_ends():
    assert Gap(**GAP).identity() == "bybit|spot|BTCUSDT|1|9"


def test_a_gap_with_an_unknown_beginning_is_known_by_its_time():
    assert Gap(**GAP | {"from_trade_id": None}).identity() == f"bybit|spot|BTCUSDT|{NOW_MS - 5000}|9"


def test_a_gap_without_an_end_is_refused():
    with pytest.raises(ValidationError):
        Gap(**GAP | {"to_trade_id": None})


def test_a_reject_keeps_every_byte():
    raw = bytes(range(256))
    assert base64.b64decode(Reject.from_bytes("producer", "bad UTF-8", raw, NOW_MS).raw_base64) == raw


def test_the_mappings_hold_every_field_of_their_records():
    assert set(Gap.model_fields) <= set(gap.MAPPING["properties"])
    assert set(Reject.model_fields) <= set(reject.MAPPING["properties"])


def test_a_field_of_a_later_release_is_ignored():
    rejected = Reject.from_bytes("producer", "bad UTF-8", b"x", NOW_MS)
    assert Gap(**GAP, probability=0.5, later=1) == Gap(**GAP)
    assert Reject(**rejected.model_dump(), probability=0.5, later=1) == rejected
