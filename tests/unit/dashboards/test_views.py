"""Views: what is a field, and whether others still mean the same by it."""

import pytest
from tapeline_dashboards.views import VIEWS
from tapeline_trainer.elastic import VERDICT_MAPPING


def test_verdicts_have_the_fields_that_the_trainer_writes():
    """The trainer's package is too heavy to be needed here, so what is used of its mapping is said again."""
    for name, field in VIEWS["verdicts"].properties.items():
        assert VERDICT_MAPPING["properties"][name]["type"] == field["type"], name


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_every_view_has_a_time_and_the_fields_of_its_market(view):
    assert view.kind("@timestamp") == "date"
    assert all(view.is_aggregatable(name) for name in view.market)
    for runtime in view.runtime.values():
        assert view.kind(runtime.start) == view.kind(runtime.end) == "date"
    assert all(view.kind(name) for name in view.patterns)


def test_what_is_worked_out_when_asked_for_is_a_number_and_no_field_of_the_mapping():
    trades = VIEWS["trades"]
    assert trades.kind("delay_ms") == "long"
    assert trades.is_aggregatable("delay_ms")
    assert not set(trades.runtime) & set(trades.properties)


def test_what_has_no_columns_cannot_be_counted_by():
    assert VIEWS["trades"].kind("trade_id") == "keyword"
    assert not VIEWS["trades"].is_aggregatable("trade_id")
    assert not VIEWS["rejects"].is_aggregatable("raw_base64")
    assert not VIEWS["trades"].is_aggregatable("nothing")
    assert VIEWS["trades"].kind("nothing") is None
