"""What the rules say of sources that mean something else than they seem to."""

import copy

import pytest
from tapeline_dashboards import meaning, objects, reader
from tapeline_dashboards.source import Dashboard

from unit.dashboards import made


def found_in(boards: tuple[Dashboard, ...]) -> list[str]:
    return made.findings(objects.compiled(boards), boards)


def test_a_median_over_several_markets_is_found():
    """Half of all prices of Bitcoin and Dogecoin is the price of nothing."""
    for changes in ({"split": None}, {"split": {"terms": "symbol", "size": 8}}):
        (found,) = found_in(made.changed("tapeline-market", "price", **changes))
        assert "panel price: median of price is not dealt out by market" in found


def test_an_amount_summed_over_several_markets_is_found():
    values = [{"name": "Volume", "sum": "quantity"}]
    (found,) = found_in(made.changed("tapeline-market", "long-and-short", values=values))
    assert "sum of quantity is not dealt out by market" in found


def test_a_number_made_of_words_is_found():
    values = [{"name": "Mean side", "average": "side"}]
    assert any(
        "average of side, which is a keyword" in each
        for each in found_in(made.changed("tapeline-market", "long-and-short", values=values))
    )


def test_a_field_that_elasticsearch_keeps_without_columns_cannot_be_counted_by():
    found = found_in(made.changed("tapeline-market", "long-and-short", split={"terms": "trade_id"}))
    assert any("trades has no trade_id" in each for each in found)


@pytest.mark.parametrize("where", ["values", "panel"])
def test_a_filter_on_a_field_that_is_not_there_is_found(where):
    condition = {"sides": "Buy"}
    values = [{"name": "Trades", "count": True, "where": condition}]
    changes = {"values": values} if where == "values" else {"where": condition}
    assert any(
        "trades has no sides, which a filter names" in each
        for each in found_in(made.changed("tapeline-market", "trades", **changes))
    )


def test_a_control_that_would_empty_a_panel_is_found():
    """Candles have no side: whoever chose one above would see no candle and think there was none."""
    (market, *others) = made.boards()
    candle = {"id": "wrong", "title": "A panel of candles", "at": [0, 90, 48, 5], "kind": "figure", "view": "candles"}
    content = market.model_dump(exclude_none=True)
    content["panels"] = [*content["panels"], candle | {"values": [{"name": "Candles", "count": True}]}]
    found = found_in((Dashboard.model_validate(content), *others))
    assert len(found) == 3
    assert all("a control is known to all that hear it" in each for each in found)
    content["panels"][-1]["hears_controls"] = False
    assert not found_in((Dashboard.model_validate(content), *others))


def test_a_click_that_would_empty_where_it_leads_is_found():
    found = found_in(made.changed("tapeline-market", "long-and-short", opens="tapeline-symbol"))
    assert any("view candles of tapeline-symbol has no side" in each for each in found)


def test_a_click_that_kibana_does_not_hear_or_that_leads_nowhere_is_found():
    assert any(
        "a click is heard" in e for e in found_in(made.changed("tapeline-market", "trades", opens="tapeline-symbol"))
    )
    found = found_in(made.changed("tapeline-market", "price", opens="tapeline-nowhere"))
    assert any("there is no dashboard tapeline-nowhere" in each for each in found)
    assert any("what is referred to is there" in each for each in found)


def test_every_market_leads_to_its_own_page():
    opened = {panel.id for panel in made.boards()[0].panels if getattr(panel, "opens", None) == "tapeline-symbol"}
    assert opened == {
        *("price", "sides", "price-and-prediction", "sides-by-market", "most-active", "volume-by-prediction"),
    }


def test_a_title_that_is_no_sentence_is_found():
    (found,) = found_in(made.changed("tapeline-market", "price", title="Price"))
    assert "a title is a sentence" in found


def test_two_panels_of_one_id_are_found():
    (market, *others) = made.boards()
    content = market.model_dump(exclude_none=True)
    content["panels"][1]["id"] = content["panels"][0]["id"]
    assert any(
        "a panel has an id of its own" in each for each in found_in((Dashboard.model_validate(content), *others))
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda url: url["body"]["aggs"]["market_type"].update(terms={"field": "kategory"}), "candles has no kategory"),
        (lambda url: url.update(index="other-*"), "its indices belong to none"),
        (lambda url: url.pop("%context%"), "data candles does not"),
        (lambda url: url.update({"%timefield%": "updated_at"}), "data candles does not"),
    ],
)
def test_what_is_wrong_with_a_drawings_request_is_found(change, what):
    spec = copy.deepcopy(reader.drawing("candles"))
    assert not list(meaning.drawing("here", spec))
    change(spec["data"][0]["url"])
    assert next(str(each) for each in meaning.drawing("here", spec)).startswith(f"here: {what}")


def test_every_field_that_a_drawing_asks_for_is_looked_at():
    _, body = next(meaning.requests(reader.drawing("candles")))
    assert {"market_type", "symbol", "trades", "open", "close", "macd_signal", "@timestamp"} <= set(meaning.named(body))
