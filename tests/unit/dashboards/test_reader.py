"""Sources: what a person writes, and what is refused of it."""

import pytest
from pydantic import ValidationError
from tapeline_dashboards import reader
from tapeline_dashboards.errors import BadSource
from tapeline_dashboards.source import Dashboard, Number, Value

GOOD = """
id: tapeline-made
title: Made
description: For a test
since: now-1h
panels:
  - {id: one, title: One of all, at: [0, 0, 12, 5], kind: figure, view: trades, values: [{name: Trades, count: true}]}
"""


def test_the_four_dashboards_come_in_the_order_of_use():
    assert [board.id for board in reader.dashboards()] == [
        *("tapeline-market", "tapeline-symbol", "tapeline-model", "tapeline-reconciliation"),
    ]


def test_a_source_is_read(tmp_path):
    (tmp_path / "made.yaml").write_text(GOOD)
    (board,) = reader.dashboards(tmp_path)
    assert (board.id, board.refresh_s, board.panels[0].at) == ("tapeline-made", 5, (0, 0, 12, 5))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("title: Made", "titel: Made", "titel"),
        ("kind: figure", "kind: figura", "figura"),
        ("count: true", "count: true, sum: price", "exactly one"),
        (", values: [{name: Trades, count: true}]", "", "values"),
        ("since: now-1h", "since: yesterday", "since"),
        ("id: one", "id: One!", "pattern"),
        ("panels:", "refresh_s: 1\npanels:", "refresh_s"),
        ("title: Made", "title: [", "expected"),
    ],
)
def test_a_source_that_says_something_else_is_refused_by_the_name_of_its_file(old, new, word, tmp_path):
    assert old in GOOD
    path = tmp_path / "made.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BadSource, match=r"made\.yaml cannot be used") as refused:
        reader.dashboard(path)
    assert word in str(refused.value)


def test_a_drawing_that_is_not_there_is_refused():
    with pytest.raises(BadSource, match=r"nothing\.yaml"):
        reader.drawing("nothing")


def test_who_changes_a_drawing_changes_only_his_own():
    reader.drawing("candles").clear()
    assert reader.drawing("candles")


def test_numbers_have_one_kind():
    assert Number(count=True).field is None
    assert Number.model_validate({"percentile": {"field": "price", "at": 50}}).field == "price"
    ratio = Value.model_validate({"name": "r", "ratio": [{"sum": "hits"}, {"count": True}]})
    assert ([part.kind for part in ratio.parts], ratio.is_formula) == (["sum", "count"], True)
    with pytest.raises(ValidationError):
        Number()


def test_every_panel_says_what_it_shows_in_other_words_than_the_next():
    for board in reader.dashboards():
        titles = [panel.title for panel in board.panels]
        assert len(set(titles)) == len(titles)
        assert isinstance(board, Dashboard)
