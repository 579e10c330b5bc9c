"""Reading of sources, valid and invalid."""

import pytest
from pydantic import ValidationError
from tapeline_dashboards import reader
from tapeline_dashboards.errors import BadSource
from tapeline_dashboards.source import Dashboard, Number, Value

GOOD = """
id: tapeline-example
title: Example
description: For a test
since: now-1h
panels:
  - {id: one, title: One of all, at: [0, 0, 12, 5], kind: metric, view: trades, values: [{name: Trades, count: true}]}
"""


def test_the_four_dashboards_come_in_the_order_of_use():
    assert [board.id for board in reader.read_dashboards()] == [
        *("tapeline-market", "tapeline-symbol", "tapeline-model", "tapeline-reconciliation"),
    ]


def test_a_source_is_read(tmp_path):
    (tmp_path / "example.yaml").write_text(GOOD)
    (board,) = reader.read_dashboards(tmp_path)
    assert (board.id, board.refresh_s, board.panels[0].at) == ("tapeline-example", 5, (0, 0, 12, 5))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("title: Example", "titel: Example", "titel"),
        ("kind: metric", "kind: metrica", "metrica"),
        ("count: true", "count: true, sum: price", "exactly one"),
        (", values: [{name: Trades, count: true}]", "", "values"),
        ("since: now-1h", "since: yesterday", "since"),
        ("id: one", "id: One!", "pattern"),
        ("panels:", "refresh_s: 1\npanels:", "refresh_s"),
        ("title: Example", "title: [", "expected"),
    ],
)
def test_an_invalid_source_is_refused_with_its_file_name(old, new, word, tmp_path):
    assert old in GOOD
    path = tmp_path / "example.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BadSource, match=r"example\.yaml cannot be used") as refused:
        reader.read_dashboard(path)
    assert word in str(refused.value)


def test_a_missing_vega_spec_is_refused():
    with pytest.raises(BadSource, match=r"nothing\.yaml"):
        reader.vega_spec("nothing")


def test_a_changed_vega_spec_does_not_change_the_cached_one():
    reader.vega_spec("candles").clear()
    assert reader.vega_spec("candles")


def test_numbers_have_one_kind():
    assert Number(count=True).field is None
    assert Number.model_validate({"percentile": {"field": "price", "at": 50}}).field == "price"
    ratio = Value.model_validate({"name": "r", "ratio": [{"sum": "hits"}, {"count": True}]})
    assert ([part.kind for part in ratio.parts], ratio.is_formula) == (["sum", "count"], True)
    with pytest.raises(ValidationError):
        Number()


def test_panel_titles_of_a_dashboard_are_unique():
    for board in reader.read_dashboards():
        titles = [panel.title for panel in board.panels]
        assert len(set(titles)) == len(titles)
        assert isinstance(board, Dashboard)
