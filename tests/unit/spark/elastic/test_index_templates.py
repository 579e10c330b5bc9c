"""Templates and retention as they are sent; the full Elasticsearch that keeps a lifecycle is not on these machines."""

import copy
import fnmatch
from typing import Any

import pytest
from tapeline import names, trade
from tapeline.records import alert, candle, reconciliation, score
from tapeline_spark.elastic.index_templates import differing_fields, lifecycle, templates

WANTED = trade.elastic_mapping()


def index_settings(template: dict[str, Any]) -> dict[str, Any]:
    return template["template"]["settings"]["index"]


def test_no_index_has_a_lifecycle_unless_retention_is_asked_for() -> None:
    """A node without lifecycle management refuses the mere name of a policy."""
    assert all("lifecycle" not in index_settings(template) for template in templates(0, "1s").values())


def test_retention_applies_to_trades_and_not_to_gaps_and_rejects() -> None:
    built = templates(1, "5s", with_retention=True)
    assert index_settings(built["tapeline-trades"])["lifecycle"] == {"name": "tapeline-trades"}
    assert all("lifecycle" not in index_settings(built[name]) for name in ("tapeline-gaps", "tapeline-rejects"))


def test_policy_deletes_a_whole_day_and_does_nothing_before() -> None:
    """Bodies as the reference gives them: every phase has a least age and actions."""
    assert lifecycle(14) == {
        "phases": {
            "hot": {"min_age": "0ms", "actions": {}},
            "delete": {"min_age": "14d", "actions": {"delete": {}}},
        }
    }


def test_template_that_says_more_is_good_enough() -> None:
    actual = copy.deepcopy(WANTED)
    actual["properties"]["of_a_later_version"] = {"type": "long"}
    assert differing_fields(actual, WANTED) == []


def test_template_without_a_field_or_with_another_type_is_named_by_that_field() -> None:
    actual = copy.deepcopy(WANTED)
    del actual["properties"]["symbol"]
    actual["properties"]["price"] = {"type": "float"}
    assert sorted(differing_fields(actual, WANTED)) == ["price", "symbol"]


def test_template_that_would_take_any_field_is_not_good_enough() -> None:
    assert differing_fields({**WANTED, "dynamic": "true"}, WANTED) == ["dynamic"]
    assert "dynamic" in differing_fields({}, WANTED)


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        (names.monthly_index(names.INDEX_CANDLES_PREFIX, 1_790_000_000_000), candle.MAPPING),
        (names.monthly_index(names.INDEX_SCORES_PREFIX, 1_790_000_000_000), score.MAPPING),
        (names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, 1_790_000_000_000), reconciliation.MAPPING),
        (names.INDEX_ALERTS, alert.MAPPING),
    ],
)
def test_each_index_that_is_made_of_trades_has_exactly_one_template(name: str, mapping: dict[str, Any]) -> None:
    """Two of one priority are refused by Elasticsearch, none means any field is taken."""
    found = [one for one in templates(0, "1s").values() if fnmatch.fnmatch(name, one["index_patterns"][0])]
    assert [one["template"]["mappings"] for one in found] == [mapping]
