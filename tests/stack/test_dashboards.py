"""The dashboards' questions put to a real Elasticsearch: every number of every panel, and what is drawn of them.

The reduced server has no Painless: what views work out when asked for is stored here beforehand. It has no
`multi_terms` either, see queries. What only a running Kibana could show: docs/decisions/0012-dashboards.md.
"""

import math
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import vega
from elasticsearch import Elasticsearch, helpers
from tapeline_dashboards import meaning, queries, reader
from tapeline_dashboards.queries import Span
from tapeline_dashboards.source import Dashboard, List, Prose, Vega
from tapeline_dashboards.views import VIEWS
from tapeline_local import paths

from stack.dashboards import documents, truth
from stack.dashboards.documents import Document

BOARDS = {board.id: board for board in reader.dashboards()}
SPAN = Span(documents.START_MS, documents.END_MS)
ASKED = [
    (board.id, panel.id)
    for board in BOARDS.values()
    for panel in board.panels
    if not isinstance(panel, Vega | List | Prose)
]
DRAWINGS = {panel.drawing for board in BOARDS.values() for panel in board.panels if isinstance(panel, Vega)}
LISTS = [(board.id, panel.id) for board in BOARDS.values() for panel in board.panels if isinstance(panel, List)]
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


def panel_of(board: Dashboard, identity: str) -> Any:
    (panel,) = [each for each in board.panels if each.id == identity]
    return panel


@pytest.fixture(scope="module")
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def fill(client: Elasticsearch) -> Iterator[Callable[[dict[str, list[Document]]], Ask]]:
    """Makes indices of a test's own with the real mappings; what it returns asks one by its view's name."""
    made: list[str] = []

    def filled(content: dict[str, list[Document]]) -> Ask:
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
def ask(fill: Callable[..., Ask], content: dict[str, list[Document]]) -> Ask:
    return fill(content)


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Compare rows in any order; numbers to 1e-9, keys exactly."""

    def place(row: dict[str, Any]) -> str:
        return repr(sorted((name, value) for name, value in row.items() if isinstance(value, str) or name == "Time"))

    found, wanted = sorted(found, key=place), sorted(wanted, key=place)
    assert [place(row) for row in found] == [place(row) for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            if isinstance(value, str) or value is None:
                assert one[name] == value, (name, one, other)
            else:
                assert one[name] is not None, (name, one, other)
                assert math.isclose(one[name], value, rel_tol=1e-9, abs_tol=1e-12), (name, one, other)


def test_the_truth_says_something_of_every_panel_that_asks_for_numbers():
    assert sorted(ASKED) == sorted((board, panel) for board, panels in truth.TRUTH.items() for panel in panels)


@pytest.mark.parametrize(("board", "identity"), ASKED)
def test_every_number_of_a_panel_is_the_one_that_the_documents_give(board, identity, ask, content):
    panel = panel_of(BOARDS[board], identity)
    view = VIEWS[panel.view]
    answer = ask(panel.view, queries.request(panel, view, SPAN))
    found, wanted = queries.rows(panel, view, answer), truth.TRUTH[board][identity](content)
    assert wanted
    same(found, wanted)


def test_a_panel_shows_only_the_first_of_many_markets_and_those_first(fill):
    made = [
        {**documents.trades(1)[0], "symbol": f"COIN{number:02}", "trade_id": f"{number}-{each}"}
        for number in range(20)
        for each in range(number + 1)
    ]
    panel = panel_of(BOARDS["tapeline-market"], "most-active")
    view = VIEWS["trades"]
    found = queries.rows(panel, view, fill({"trades": made})("trades", queries.request(panel, view, SPAN)))
    market = made[0]["market_type"]
    assert found == [{"Market": f"COIN{n:02} › {market}", "Trades": n + 1} for n in range(19, 7, -1)]


@pytest.mark.parametrize(("board", "identity"), LISTS)
def test_a_list_shows_its_columns_newest_first(board, identity, ask, content):
    panel = panel_of(BOARDS[board], identity)
    hits = ask(panel.view, queries.listing(panel, SPAN))["hits"]["hits"]
    newest = sorted(content[panel.view], key=lambda each: -each["@timestamp"])
    assert [hit["_source"] for hit in hits] == [{name: each[name] for name in panel.columns} for each in newest]


def test_the_six_views_on_trades_that_can_be_counted_on_fingers(fill):
    """Three trades in one market, one in the other market of the same symbol; every number below is written by hand."""

    def trade(number: int, market_type: str, price: str, quantity: str, side: str, chance: float | None) -> Document:
        return {
            **documents.trades(1)[0],
            **{"trade_id": str(number), "market_type": market_type, "symbol": "BTCUSDT"},
            **{"price": price, "quantity": quantity, "side": side, "probability": chance},
            "prediction": None if chance is None else int(chance > 0.5),
            "prediction_state": "late" if chance is None else "ok",
        }

    made = [
        trade(1, "spot", "100", "2", "Buy", 0.75),
        trade(2, "spot", "102", "4", "Sell", 0.25),
        trade(3, "spot", "110", "6", "Buy", None),
        trade(4, "linear", "5", "8", "Sell", 0.75),
    ]
    ask, board = fill({"trades": made}), BOARDS["tapeline-market"]
    now = {"Time": documents.START_MS}
    spot, linear = {"Market": "BTCUSDT › spot"}, {"Market": "BTCUSDT › linear"}
    wanted = {
        "price": [{**spot, **now, "Median price": 102}, {**linear, **now, "Median price": 5}],
        "sides": [
            {**spot, **now, "Median price of buys": 105, "Median price of sells": 102},
            {**linear, **now, "Median price of buys": None, "Median price of sells": 5},
        ],
        "long-and-short": [{"Side": "Buy", "Trades": 2}, {"Side": "Sell", "Trades": 2}],
        "sides-by-market": [{**spot, "Bought": 8, "Sold": 4}, {**linear, "Bought": 0, "Sold": 8}],
        "most-active": [{**spot, "Trades": 3}, {**linear, "Trades": 1}],
        "volume-by-prediction": [
            {**spot, "Trades": 2, "Mean volume when up": 2, "Mean volume when down": 4, "Up against down": 0.5},
            {**linear, "Trades": 1, "Mean volume when up": 8, "Mean volume when down": None, "Up against down": None},
        ],
        "price-and-prediction": [
            {**spot, **now, "Median price": 101, "Mean chance of a rise": 0.5},
            {**linear, **now, "Median price": 5, "Mean chance of a rise": 0.75},
        ],
        "predicted": [{"With a prediction": 0.75}],
    }
    for identity, rows in wanted.items():
        panel = panel_of(board, identity)
        view = VIEWS[panel.view]
        same(queries.rows(panel, view, ask(panel.view, queries.request(panel, view, SPAN))), rows)


@pytest.fixture(scope="module")
def draw(ask: Ask) -> Callable[..., vega.Drawing]:
    """Draws a specification on what Elasticsearch answers now; leaves the picture in build/."""

    def drawn(name: str, *datasets: str, span: Span = SPAN) -> vega.Drawing:
        spec, answers = reader.drawing(name), {}
        for each, (view, body) in zip([d for d in spec["data"] if "url" in d], meaning.requests(spec), strict=True):
            assert view is not None
            answers[each["name"]] = ask(view.name, queries.drawn(body, span))
        drawing = vega.draw(vega.answered(spec, answers), datasets)
        assert not drawing.complaints
        if span == SPAN:
            folder = paths.BUILD / "dashboards"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.svg").write_text(drawing.svg)
        return drawing

    return drawn


def test_candles_are_drawn_of_one_market_with_its_own_numbers(draw, content):
    drawing = draw("candles", "candles")
    wanted = truth.busiest(content["candles"])
    found = drawing.data["candles"]
    assert {row["market"] for row in found} == {f"{wanted[0]['symbol']} ({wanted[0]['market_type']})"}
    fields = {
        **{name: name for name in ("open", "high", "low", "close", "volume", "macd")},
        **{"rsi": "rsi_14", "upper": "bollinger_upper", "middle": "bollinger_middle", "lower": "bollinger_lower"},
        **{"slow": "macd_signal", "histogram": "macd_histogram", "time": "@timestamp"},
    }
    assert [{mine: row[mine] for mine in fields} for row in found] == [
        {mine: each[theirs] for mine, theirs in fields.items()} for each in wanted
    ]
    assert "BTCUSDT (" in drawing.svg
    for word in ("Price", "Volume", "RSI", "MACD"):
        assert f">{word}<" in drawing.svg
    # Bodies, and bars of volume and MACD, each with a colour.
    assert len(re.findall(r'fill="#(209280|cc5642)"', drawing.svg)) == 2 * len(found)


def test_several_minutes_make_one_candle_where_the_time_is_long(draw, content):
    found = draw("candles", "candles", span=Span(SPAN.from_ms, SPAN.to_ms, "10m")).data["candles"]
    wanted = truth.busiest(content["candles"])
    assert len(found) == 5
    first = [each for each in wanted if each["@timestamp"] // 600_000 == found[1]["time"] // 600_000]
    assert len(first) == 10
    assert (found[1]["open"], found[1]["close"]) == (first[0]["open"], first[-1]["close"])
    assert (found[1]["high"], found[1]["low"]) == (max(e["high"] for e in first), min(e["low"] for e in first))
    assert math.isclose(found[1]["volume"], sum(each["volume"] for each in first))
    assert found[1]["rsi"] == first[-1]["rsi_14"]


def test_predictions_are_drawn_on_the_price_they_were_said_at(draw, content):
    found = draw("predictions", "points", "said").data
    spot = truth.of(content["trades"], symbol="BTCUSDT", market_type="spot")
    same(
        [{"Time": row["time"], "price": row["price"], "up": row["up"], "down": row["down"]} for row in found["points"]],
        truth.over_time(
            spot,
            lambda t: {
                "price": truth.middle(t, "price"),
                "up": len(truth.of(t, prediction=1)),
                "down": len(truth.of(t, prediction=0)),
            },
        ),
    )
    assert 0 < len(found["said"]) <= len(found["points"])


def test_calibration_shows_what_was_said_and_how_often_it_came_true(draw, content):
    found = draw("calibration", "bins").data["bins"]
    for number, row in enumerate(found):
        count = truth.total(content["scores"], f"bin_{number}_predictions")
        assert row["count"] == count
        assert math.isclose(row["came"], truth.total(content["scores"], f"bin_{number}_ups") / count)
        assert math.isclose(row["said"], truth.total(content["scores"], f"bin_{number}_probability_sum") / count)
    assert len(found) == 10


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_where_there_is_nothing_to_draw_the_picture_says_so(name, draw):
    """On a fresh installation every panel is empty, and no word of Vega's own about it may stand above it."""
    drawing = draw(name, span=Span(1_600_000_000_000, 1_600_000_060_000))
    assert re.search(r">No [a-z ]+ here<", drawing.svg)
    assert "NaN" not in drawing.svg
