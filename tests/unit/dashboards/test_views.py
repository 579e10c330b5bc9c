"""Data views: their fields, and agreement with the mappings of other members."""

import pytest
from tapeline_dashboards.views import VIEWS
from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING


def test_evaluations_have_the_fields_that_the_trainer_writes():
    """The trainer's package is too heavy to be needed here, so what is used of its mapping is said again."""
    for name, field in VIEWS["evaluations"].properties.items():
        assert VERDICT_MAPPING["properties"][name]["type"] == field["type"], name


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_every_view_has_a_time_and_the_fields_of_its_market(view):
    assert view.kind("@timestamp") == "date"
    assert all(view.is_aggregatable(name) for name in view.market)
    assert view.market == (("venue", "market_type", "symbol") if view.kind("symbol") else ())
    assert all(view.kind(name) for name in view.patterns)


def test_a_field_without_doc_values_is_not_aggregatable():
    assert VIEWS["trades"].kind("trade_id") == "keyword"
    assert not VIEWS["trades"].is_aggregatable("trade_id")
    assert not VIEWS["rejects"].is_aggregatable("raw_base64")
    assert not VIEWS["trades"].is_aggregatable("nothing")
    assert VIEWS["trades"].kind("nothing") is None
