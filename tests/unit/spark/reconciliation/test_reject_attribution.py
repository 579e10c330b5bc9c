"""Attribution of unreadable values to symbol and minute."""

import pytest
from tapeline.records.reject import Reject
from tapeline_spark.reconciliation.reject_attribution import attribute, attribute_report

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
    assert attribute(raw, NOW, "spot") == ([("spot", symbol)], MINUTE)


def test_time_of_the_trade_says_the_minute_unless_it_cannot_be_true():
    assert attribute(b'{"T":1790000001000,"s":"A"}', NOW, "spot")[1] == 1_789_999_980_000
    assert attribute(b'{"T":1290000001000,"s":"A"}', NOW, "spot")[1] == MINUTE
    assert attribute(b'{"T":17900000010001234,"s":"A"}', NOW, "spot")[1] == MINUTE


def test_key_of_the_record_wins_and_without_a_market_type_it_counts_in_each():
    assert attribute(b"{}", NOW, symbol="BTCUSDT")[0] == [(one, "BTCUSDT") for one in ("spot", "linear", "inverse")]
    assert attribute(b'{"market_type":"linear"}', NOW, symbol="BTCUSDT")[0] == [("linear", "BTCUSDT")]


def test_report_of_a_producer_is_opened():
    report = Reject.from_bytes("producer", "no", b'{"s":"ETHUSDT","T":1790000001000}', NOW, "linear")
    assert attribute_report(report.model_dump_json().encode(), NOW + 9) == ([("linear", "ETHUSDT")], 1_789_999_980_000)
    assert attribute_report(b"neither", NOW)[0] == [(one, "?") for one in ("spot", "linear", "inverse")]
