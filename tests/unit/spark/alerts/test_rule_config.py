from typing import Literal

import pytest
import yaml
from tapeline.enums import AlertKind
from tapeline.instrument import instrument_of
from tapeline_spark.alerts.kinds import KINDS
from tapeline_spark.alerts.rule_config import DEFAULT, load
from tapeline_spark.errors import RulesUnusable

MOVE = {"name": "move", "kind": "price_move", "threshold_bp": 200}


def written(folder, *rules, **more):
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": list(rules), **more}))
    return load(path)


def test_the_shipped_file_is_right_and_knows_every_kind_of_alert():
    rules = load(None).rules
    assert {rule.kind for rule in rules} == set(AlertKind)
    assert DEFAULT.exists()


def test_a_file_of_ones_own_takes_the_place_of_the_shipped_one(tmp_path):
    (move,) = written(tmp_path, MOVE).rules
    assert (move.name, move.window, move.severity, move.symbols) == ("move", "5m", "warning", ())
    assert move.rest_ms == 5 * 60_000
    assert written(tmp_path).rules == (), "no rules: no alerts"


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"kind": "weather"}, "weather"),
        ({"threshold_bp": 0}, "threshold_bp"),
        ({"threshold_bp": -5}, "threshold_bp"),
        ({"threshold_bp": float("nan")}, "threshold_bp"),
        ({"threshold": 5}, "threshold"),
        ({"window": "7m"}, "window"),
        ({"symbols": ["btc usdt"]}, "symbols"),
        ({"market_types": ["options"]}, "market_types"),
        ({"name": "My Rule"}, "name"),
        ({"severity": "loud"}, "severity"),
        ({"rest_minutes": 0}, "rest_minutes"),
    ],
)
def test_what_breaks_a_rule_is_named_with_the_way_out(tmp_path, broken, word):
    with pytest.raises(RulesUnusable, match=word) as refused:
        written(tmp_path, MOVE | broken)
    assert "STREAM_RULES" in str(refused.value) and "rules.yaml" in str(refused.value)


def test_two_rules_of_one_name_are_refused(tmp_path):
    with pytest.raises(RulesUnusable, match="must be unique"):
        written(tmp_path, MOVE, MOVE)


@pytest.mark.parametrize("text", ["", "[]", "rules: {", "rules: !!python/object/apply:os.getcwd []", "\xff"])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RulesUnusable):
        load(path)
    with pytest.raises(RulesUnusable, match="No such file"):
        load(tmp_path / "absent.yaml")


def test_a_rule_is_about_its_symbols_in_its_markets(tmp_path):
    one, every = written(
        tmp_path, MOVE | {"symbols": ["BTCUSDT"], "market_types": ["spot"]}, MOVE | {"name": "other"}
    ).rules
    assert one.applies_to(instrument_of("bybit", "spot", "BTCUSDT"))
    assert not one.applies_to(instrument_of("bybit", "linear", "BTCUSDT"))
    assert not one.applies_to(instrument_of("bybit", "spot", "ETHUSDT"))
    assert every.applies_to(instrument_of("bybit", "linear", "ETHUSDT"))


def test_every_kind_of_alert_has_one_rule_class_and_one_finding_function():
    assert set(KINDS) == set(AlertKind)
    for kind, entry in KINDS.items():
        assert entry.rule.model_fields["kind"].annotation == Literal[kind]
