import pytest
from pydantic import ValidationError
from tapeline.enums import AlertKind
from tapeline.records.alert import MAPPING, Alert

ALERT = {
    "alert_id": "move-5m|bybit|spot|BTCUSDT|up|1790000040000",
    "rule": "move-5m",
    "kind": "price_move",
    "severity": "warning",
    "venue": "bybit",
    "market_type": "spot",
    "symbol": "BTCUSDT",
    "value": 213.5,
    "threshold": 200.0,
    "unit": "bp",
    "message": "BTCUSDT rose by 2.13 % within 5m",
    "began_at": 1_790_000_040_000,
    "raised_at": 1_790_000_049_000,
}


def test_an_alert_travels_as_json_and_comes_back_the_same():
    alert = Alert(**ALERT)
    assert Alert.model_validate_json(alert.model_dump_json()) == alert


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_can_be_raised(kind):
    assert Alert(**ALERT | {"kind": kind}).kind == kind


@pytest.mark.parametrize("absent", ["market_type", "symbol", "model_digest", "value", "threshold", "unit"])
def test_what_not_every_alert_has_may_be_absent(absent):
    assert getattr(Alert(**{name: value for name, value in ALERT.items() if name != absent}), absent) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "weather"},
        {"severity": "loud"},
        {"unit": "furlong"},
        {"alert_id": ""},
        {"alert_id": "x" * 513},
        {"message": ""},
        {"message": "x" * 1001},
        {"symbol": "btc usdt"},
        {"value": "213.5"},
        {"began_at": 1_790_000_040},
    ],
)
def test_what_breaks_a_rule_is_refused(wrong):
    with pytest.raises(ValidationError):
        Alert(**ALERT | wrong)


def test_the_mapping_holds_every_field_and_takes_no_other():
    assert set(MAPPING["properties"]) == {*Alert.model_fields, "@timestamp"}
    assert MAPPING["dynamic"] == "strict"


def test_a_field_of_a_later_release_is_ignored():
    assert Alert(**ALERT, sound="loud") == Alert(**ALERT)
