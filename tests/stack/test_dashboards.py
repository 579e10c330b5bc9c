"""Runs the requests of the dashboards on a real Elasticsearch: every number of every panel, and the Vega graphics.

The reduced server has no Painless: computed fields are stored beforehand. It has no `multi_terms` either, see queries.
What only a running Kibana could show: docs/decisions/0012-dashboards.md.
"""

import math
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import vega
from elasticsearch import Elasticsearch, helpers
from tapeline.instrument import Instrument
from tapeline_dashboards import queries, reader, semantic_rules
from tapeline_dashboards.queries import TimeRange
from tapeline_dashboards.source import Dashboard, List, Markdown, Vega
from tapeline_dashboards.views import VIEWS
from tapeline_local import paths

from stack.dashboards import documents, expected
from stack.dashboards.documents import Document

BOARDS = {board.id: board for board in reader.read_dashboards()}
TIME_RANGE = TimeRange(documents.START_MS, documents.END_MS)
LENS_PANELS = [
    (board.id, panel.id)
    for board in BOARDS.values()
    for panel in board.panels
    if not isinstance(panel, Vega | List | Markdown)
]
VEGA_SPECS = {panel.spec for board in BOARDS.values() for panel in board.panels if isinstance(panel, Vega)}
LISTS = [(board.id, panel.id) for board in BOARDS.values() for panel in board.panels if isinstance(panel, List)]
Search = Callable[[str, dict[str, Any]], dict[str, Any]]


def panel_of(board: Dashboard, identity: str) -> Any:
    (panel,) = [each for each in board.panels if each.id == identity]
    return panel


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def fill(client: Elasticsearch) -> Iterator[Callable[[dict[str, list[Document]]], Search]]:
    """Create indices with the real mappings; the returned function searches one by the name of its view."""
    made: list[str] = []

    def filled(content: dict[str, list[Document]]) -> Search:
        prefix = f"tapeline-made-{uuid.uuid4().hex[:8]}"
        for name, view in VIEWS.items():
            mappings = {"dynamic": "strict", "properties": view.properties}
            client.indices.create(index=f"{prefix}-{name}", mappings=mappings)
            made.append(f"{prefix}-{name}")
        actions = (
            {"_op_type": "create", "_index": f"{prefix}-{name}", "_source": document}
            for name, found in content.items()
            for document in found
        )
        helpers.bulk(client, actions, refresh=True)
        return lambda view, body: dict(client.search(index=f"{prefix}-{view}", **_arguments(body)))

    yield filled
    client.indices.delete(index=made)


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    return {{"_source": "source", "aggs": "aggregations"}.get(name, name): value for name, value in body.items()}


@pytest.fixture(scope="module")
def content() -> dict[str, list[Document]]:
    return documents.every()


@pytest.fixture(scope="module")
def search(fill: Callable[..., Search], content: dict[str, list[Document]]) -> Search:
    return fill(content)


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Compare rows in any order; numbers to 1e-9, keys exactly."""

    def place_of(row: dict[str, Any]) -> str:
        return repr(sorted((name, value) for name, value in row.items() if isinstance(value, str) or name == "Time"))

    found, wanted = sorted(found, key=place_of), sorted(wanted, key=place_of)
    assert [place_of(row) for row in found] == [place_of(row) for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            if isinstance(value, str) or value is None:
                assert one[name] == value, (name, one, other)
            else:
                assert one[name] is not None, (name, one, other)
                assert math.isclose(one[name], value, rel_tol=1e-9, abs_tol=1e-12), (name, one, other)


def test_every_lens_panel_has_expected_rows():
    assert sorted(LENS_PANELS) == sorted(
        (board, panel) for board, panels in expected.EXPECTED.items() for panel in panels
    )


@pytest.mark.parametrize(("board", "identity"), LENS_PANELS)
def test_every_number_of_a_panel_equals_the_expected_one(board, identity, search, content):
    panel = panel_of(BOARDS[board], identity)
    view = VIEWS[panel.view]
    answer = search(panel.view, queries.panel_request(panel, view, TIME_RANGE))
    found, wanted = queries.rows(panel, view, answer), expected.EXPECTED[board][identity](content)
    assert wanted
    same(found, wanted)


def test_a_panel_shows_only_the_top_markets_in_order(fill):
    made = [
        {**documents.trades(1)[0], "symbol": f"COIN{number:02}", "trade_id": f"{number}-{each}"}
        for number in range(20)
        for each in range(number + 1)
    ]
    panel = panel_of(BOARDS["tapeline-market"], "most-active")
    view = VIEWS["trades"]
    found = queries.rows(panel, view, fill({"trades": made})("trades", queries.panel_request(panel, view, TIME_RANGE)))
    market = f"{made[0]['venue']} › {made[0]['market_type']}"
    assert found == [{"Market": f"{market} › COIN{n:02}", "Trades": n + 1} for n in range(19, 7, -1)]


@pytest.mark.parametrize(("board", "identity"), LISTS)
def test_a_list_shows_its_columns_latest_first(board, identity, search, content):
    panel = panel_of(BOARDS[board], identity)
    hits = search(panel.view, queries.list_request(panel, TIME_RANGE))["hits"]["hits"]
    newest = sorted(content[panel.view], key=lambda each: -each["@timestamp"])
    assert [hit["_source"] for hit in hits] == [{name: each[name] for name in panel.columns} for each in newest]


@pytest.mark.parametrize("other", ["bybit:linear:BTCUSDT", "other:spot:BTCUSDT"])
def test_market_panels_show_numbers_computed_by_hand(fill, other):
    """Three trades in one market, one in another market of the same symbol; every number below is written by hand."""

    def trade(number: int, market: str, price: str, quantity: str, side: str, chance: float | None) -> Document:
        return {
            **documents.trades(1)[0],
            **documents.fields_of(Instrument.parse(market)),
            "trade_id": str(number),
            **{"price": price, "quantity": quantity, "base_quantity": quantity, "side": side, "probability": chance},
            "prediction": None if chance is None else int(chance > 0.5),
            "prediction_state": "late" if chance is None else "ok",
        }

    made = [
        trade(1, "bybit:spot:BTCUSDT", "100", "2", "Buy", 0.75),
        trade(2, "bybit:spot:BTCUSDT", "102", "4", "Sell", 0.25),
        trade(3, "bybit:spot:BTCUSDT", "110", "6", "Buy", None),
        trade(4, other, "5", "8", "Sell", 0.75),
    ]
    search, board = fill({"trades": made}), BOARDS["tapeline-market"]
    now = {"Time": documents.START_MS}
    spot, second = {"Market": "bybit › spot › BTCUSDT"}, {"Market": other.replace(":", " › ")}
    wanted = {
        "price": [{**spot, **now, "Median price": 102}, {**second, **now, "Median price": 5}],
        "sides": [
            {**spot, **now, "Median buy price": 105, "Median sell price": 102},
            {**second, **now, "Median buy price": None, "Median sell price": 5},
        ],
        "trades-by-side": [{"Side": "Buy", "Trades": 2}, {"Side": "Sell", "Trades": 2}],
        "volume-by-side": [{**spot, "Buy volume": 8, "Sell volume": 4}, {**second, "Buy volume": 0, "Sell volume": 8}],
        "most-active": [{**spot, "Trades": 3}, {**second, "Trades": 1}],
        "size-by-prediction": [
            {
                **spot,
                "Trades": 2,
                "Mean size predicted up": 2,
                "Mean size predicted down": 4,
                "Up/down size ratio": 0.5,
            },
            {
                **second,
                "Trades": 1,
                "Mean size predicted up": 8,
                "Mean size predicted down": None,
                "Up/down size ratio": None,
            },
        ],
        "price-and-prediction": [
            {**spot, **now, "Median price": 101, "Mean rise probability": 0.5},
            {**second, **now, "Median price": 5, "Mean rise probability": 0.75},
        ],
        "predicted": [{"With prediction": 0.75}],
    }
    for identity, rows in wanted.items():
        panel = panel_of(board, identity)
        view = VIEWS[panel.view]
        same(queries.rows(panel, view, search(panel.view, queries.panel_request(panel, view, TIME_RANGE))), rows)


@pytest.fixture(scope="module")
def draw(search: Search) -> Callable[..., vega.Drawing]:
    """Render a Vega spec on the responses of Elasticsearch; writes the SVG to build/."""

    def drawn(name: str, *datasets: str, time_range: TimeRange = TIME_RANGE) -> vega.Drawing:
        spec, answers = reader.vega_spec(name), {}
        for each, (view, body) in zip(
            [d for d in spec["data"] if "url" in d], semantic_rules.vega_requests(spec), strict=True
        ):
            assert view is not None
            answers[each["name"]] = search(view.name, queries.vega_request(body, time_range))
        drawing = vega.draw(vega.answered(spec, answers), datasets)
        assert not drawing.complaints
        if time_range == TIME_RANGE:
            folder = paths.BUILD / "dashboards"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.svg").write_text(drawing.svg)
        return drawing

    return drawn


def test_candles_are_drawn_of_one_market_with_its_own_numbers(draw, content):
    drawing = draw("candles", "candles")
    wanted = expected.busiest(content["candles"])
    found = drawing.data["candles"]
    assert {row["market"] for row in found} == {"{symbol} ({venue} {market_type})".format_map(wanted[0])}
    fields = {
        **{name: name for name in ("open", "high", "low", "close", "volume", "macd")},
        **{"rsi": "rsi_14", "upper": "bollinger_upper", "middle": "bollinger_middle", "lower": "bollinger_lower"},
        **{"signal_line": "macd_signal", "histogram": "macd_histogram", "time": "@timestamp"},
    }
    assert [{mine: row[mine] for mine in fields} for row in found] == [
        {mine: each[theirs] for mine, theirs in fields.items()} for each in wanted
    ]
    assert "BTCUSDT (" in drawing.svg
    for word in ("Price", "Volume", "RSI", "MACD"):
        assert f">{word}<" in drawing.svg
    # Bodies, and bars of volume and MACD, each with a colour.
    assert len(re.findall(r'fill="#(209280|cc5642)"', drawing.svg)) == 2 * len(found)


def test_a_candle_has_several_minutes_in_a_long_time_range(draw, content):
    found = draw("candles", "candles", time_range=TimeRange(TIME_RANGE.from_ms, TIME_RANGE.to_ms, "10m")).data[
        "candles"
    ]
    wanted = expected.busiest(content["candles"])
    assert len(found) == 5
    first = [each for each in wanted if each["@timestamp"] // 600_000 == found[1]["time"] // 600_000]
    assert len(first) == 10
    assert (found[1]["open"], found[1]["close"]) == (first[0]["open"], first[-1]["close"])
    assert (found[1]["high"], found[1]["low"]) == (max(e["high"] for e in first), min(e["low"] for e in first))
    assert math.isclose(found[1]["volume"], sum(each["volume"] for each in first))
    assert found[1]["rsi"] == first[-1]["rsi_14"]


def test_predictions_are_drawn_on_the_median_price(draw, content):
    found = draw("predictions", "points", "predicted").data
    spot = expected.rows_where(content["trades"], venue="bybit", symbol="BTCUSDT", market_type="spot")
    same(
        [{"Time": row["time"], "price": row["price"], "up": row["up"], "down": row["down"]} for row in found["points"]],
        expected.over_time(
            spot,
            lambda t: {
                "price": expected.middle(t, "price"),
                "up": len(expected.rows_where(t, prediction=1)),
                "down": len(expected.rows_where(t, prediction=0)),
            },
        ),
    )
    assert 0 < len(found["predicted"]) <= len(found["points"])


def test_calibration_shows_predicted_and_observed_probability(draw, content):
    found = draw("calibration", "bins").data["bins"]
    for number, row in enumerate(found):
        count = expected.total(content["scores"], f"bin_{number}_predictions")
        assert row["count"] == count
        assert math.isclose(row["observed"], expected.total(content["scores"], f"bin_{number}_ups") / count)
        assert math.isclose(
            row["predicted"], expected.total(content["scores"], f"bin_{number}_probability_sum") / count
        )
    assert len(found) == 10


@pytest.mark.parametrize("name", sorted(VEGA_SPECS))
def test_a_vega_panel_without_data_shows_a_text(name, draw):
    """On a fresh installation every panel is empty; Vega must show no warning."""
    drawing = draw(name, time_range=TimeRange(1_600_000_000_000, 1_600_000_060_000))
    assert re.search(r">No [a-z ]+ here<", drawing.svg)
    assert "NaN" not in drawing.svg
