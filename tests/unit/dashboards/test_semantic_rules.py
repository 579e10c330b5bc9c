"""The semantic rules find sources that contradict the mappings."""

import copy

import pytest
from tapeline_dashboards import objects, reader, semantic_rules
from tapeline_dashboards.source import Dashboard

from unit.dashboards import factories


def found_in(boards: tuple[Dashboard, ...]) -> list[str]:
    return factories.findings(objects.compile_dashboards(boards), boards)


def test_a_median_over_several_markets_is_found():
    """A median over prices of Bitcoin and Dogecoin has no meaning."""
    for changes in ({"split": None}, {"split": {"terms": "symbol", "size": 8}}):
        (found,) = found_in(factories.changed("tapeline-market", "price", **changes))
        assert "panel price: median of price is not split by market" in found
        assert ": venue, market_type" in found


def test_a_price_split_by_market_type_and_symbol_still_mixes_venues():
    """The median price of the same symbol at two venues is the price of neither."""
    changes = {"split": {"terms": "symbol", "size": 8}, "x": {"terms": "market_type", "size": 3}}
    found = found_in(factories.changed("tapeline-market", "price", **changes))
    assert any("median of price is not split by market: venue is missing" in each for each in found)
    changes = {"split": {"terms": "market", "size": 8}}
    assert not found_in(factories.changed("tapeline-market", "price", **changes))


@pytest.mark.parametrize("name", ["candles", "predictions"])
def test_a_vega_request_that_mixes_venues_is_found(name):
    spec = copy.deepcopy(reader.vega_spec(name))
    body = spec["data"][0]["url"]["body"]
    body["aggs"] = body["aggs"]["venue"]["aggs"]
    found = [str(each) for each in semantic_rules.check_vega("here", spec)]
    assert any("is not split by market: venue is missing" in each for each in found)


def test_every_dashboard_has_a_control_of_the_venue_beside_the_market_type():
    for board in factories.boards():
        fields = [control.field for control in board.controls]
        assert fields.index("market_type") == fields.index("venue") + 1


def test_an_amount_summed_over_several_markets_is_found():
    values = [{"name": "Volume", "sum": "quantity"}]
    (found,) = found_in(factories.changed("tapeline-market", "trades-by-side", values=values))
    assert "sum of quantity is not split by market" in found


def test_a_numeric_operation_on_a_keyword_is_found():
    values = [{"name": "Mean side", "average": "side"}]
    assert any(
        "average of side, which is a keyword" in each
        for each in found_in(factories.changed("tapeline-market", "trades-by-side", values=values))
    )


def test_a_field_without_doc_values_cannot_be_aggregated():
    found = found_in(factories.changed("tapeline-market", "trades-by-side", split={"terms": "trade_id"}))
    assert any("trades has no trade_id" in each for each in found)


@pytest.mark.parametrize("where", ["values", "panel"])
def test_a_filter_on_an_unknown_field_is_found(where):
    condition = {"sides": "Buy"}
    values = [{"name": "Trades", "count": True, "where": condition}]
    changes = {"values": values} if where == "values" else {"where": condition}
    assert any(
        "trades has no sides, which a filter uses" in each
        for each in found_in(factories.changed("tapeline-market", "trades", **changes))
    )


def test_a_control_that_would_empty_a_panel_is_found():
    """Candles have no side: a selected side would hide every candle."""
    (market, *others) = factories.boards()
    candle = {"id": "wrong", "title": "A panel of candles", "at": [0, 90, 48, 5], "kind": "metric", "view": "candles"}
    content = market.model_dump(exclude_none=True)
    content["panels"] = [*content["panels"], candle | {"values": [{"name": "Candles", "count": True}]}]
    found = found_in((Dashboard.model_validate(content), *others))
    assert len(found) == 3
    assert all("every controlled view has the field of a control" in each for each in found)
    content["panels"][-1]["uses_controls"] = False
    assert not found_in((Dashboard.model_validate(content), *others))


def test_a_drilldown_that_would_empty_its_target_is_found():
    found = found_in(factories.changed("tapeline-market", "trades-by-side", opens="tapeline-symbol"))
    assert any("view candles of tapeline-symbol has no side" in each for each in found)


def test_a_drilldown_of_a_metric_or_to_an_unknown_dashboard_is_found():
    assert any(
        "a drill-down needs buckets" in e
        for e in found_in(factories.changed("tapeline-market", "trades", opens="tapeline-symbol"))
    )
    found = found_in(factories.changed("tapeline-market", "price", opens="tapeline-nowhere"))
    assert any("there is no dashboard tapeline-nowhere" in each for each in found)
    assert any("referenced objects exist" in each for each in found)


def test_every_market_panel_opens_the_symbol_dashboard():
    opened = {panel.id for panel in factories.boards()[0].panels if getattr(panel, "opens", None) == "tapeline-symbol"}
    assert opened == {
        *("price", "sides", "price-and-prediction", "volume-by-side", "most-active", "size-by-prediction"),
    }


def test_a_title_that_is_too_short_is_found():
    (found,) = found_in(factories.changed("tapeline-market", "price", title="Price"))
    assert "a title has at least 3 words" in found


def test_two_panels_of_one_id_are_found():
    (market, *others) = factories.boards()
    content = market.model_dump(exclude_none=True)
    content["panels"][1]["id"] = content["panels"][0]["id"]
    assert any("panel ids are unique" in each for each in found_in((Dashboard.model_validate(content), *others)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda url: url["body"]["aggs"]["venue"]["aggs"]["market_type"].update(terms={"field": "kategory"}),
            "candles has no kategory",
        ),
        (lambda url: url.update(index="other-*"), "its indices belong to no data view"),
        (lambda url: url.pop("%context%"), "data candles does not"),
        (lambda url: url.update({"%timefield%": "updated_at"}), "data candles does not"),
    ],
)
def test_an_invalid_vega_request_is_found(change, what):
    spec = copy.deepcopy(reader.vega_spec("candles"))
    assert not list(semantic_rules.check_vega("here", spec))
    change(spec["data"][0]["url"])
    assert next(str(each) for each in semantic_rules.check_vega("here", spec)).startswith(f"here: {what}")


def test_every_field_of_a_vega_request_is_checked():
    _, body = next(semantic_rules.vega_requests(reader.vega_spec("candles")))
    assert {"venue", "market_type", "symbol", "trades", "open", "close", "macd_signal", "@timestamp"} <= set(
        semantic_rules.requested_fields(body)
    )
