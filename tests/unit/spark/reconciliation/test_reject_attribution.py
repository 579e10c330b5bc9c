"""Attribution of unreadable values to symbol and minute."""

import pytest
from tapeline.enums import MarketType
from tapeline.instrument import UNKNOWN_SYMBOL, instrument_of
from tapeline.records.reject import Reject
from tapeline_spark.reconciliation.reject_attribution import attribute, attribute_report

VENUES = ("bybit",)
NOW = 1_790_000_071_234
MINUTE = NOW - NOW % 60_000


@pytest.mark.parametrize(
    ("raw", "symbol"),
    [
        (b'{"topic":"publicTrade.BTCUSDT","data":[{"T":"x"}]}', "BTCUSDT"),
        (b'{"i":"1","s":"ETHUSDT","p":"NaN"}', "ETHUSDT"),
        (b'{"venue":"bybit","market_type":"spot","symbol": "SOLUSDT"', "SOLUSDT"),
        (b"\xff\xfe not even text", "?"),
        (b"", "?"),
    ],
)
def test_symbol_is_read_from_the_bytes_as_far_as_they_say(raw, symbol):
    assert attribute(raw, NOW, VENUES, "spot") == ([instrument_of("bybit", "spot", symbol)], MINUTE)


def test_time_of_the_trade_says_the_minute_unless_it_cannot_be_true():
    assert attribute(b'{"T":1790000001000,"s":"A"}', NOW, VENUES, "spot")[1] == 1_789_999_980_000
    assert attribute(b'{"T":1290000001000,"s":"A"}', NOW, VENUES, "spot")[1] == MINUTE
    assert attribute(b'{"T":17900000010001234,"s":"A"}', NOW, VENUES, "spot")[1] == MINUTE


def test_key_of_the_record_wins_and_without_a_market_type_it_counts_in_each():
    assert attribute(b"{}", NOW, VENUES, symbol="BTCUSDT")[0] == [
        instrument_of("bybit", one, "BTCUSDT") for one in MarketType
    ]
    assert attribute(b'{"market_type":"linear"}', NOW, VENUES, symbol="BTCUSDT")[0] == [
        instrument_of("bybit", "linear", "BTCUSDT")
    ]


def test_report_of_a_producer_is_opened():
    report = Reject.from_bytes("producer", "no", b'{"s":"ETHUSDT","T":1790000001000}', NOW, "linear")
    assert attribute_report(report.model_dump_json().encode(), NOW + 9, VENUES) == (
        [instrument_of("bybit", "linear", "ETHUSDT")],
        1_789_999_980_000,
    )
    assert attribute_report(b"neither", NOW, VENUES)[0] == [
        instrument_of("bybit", one, UNKNOWN_SYMBOL) for one in MarketType
    ]


def test_venue_is_read_from_the_bytes_or_the_value_counts_for_each_that_it_can_come_from():
    venues = ("bybit", "other")
    both = [instrument_of(venue, "spot", "BTCUSDT") for venue in venues]
    assert attribute(b"{}", NOW, venues, "spot", "BTCUSDT")[0] == both
    assert attribute(b'{"venue":"other"', NOW, venues, "spot", "BTCUSDT")[0] == both[1:]
    assert attribute(b'{"venue":"nowhere"', NOW, venues, "spot", "BTCUSDT")[0] == both
