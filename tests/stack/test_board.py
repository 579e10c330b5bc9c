"""The real board before a real Elasticsearch: its numbers against values computed here, its streams over sockets.

Every number is checked against a plain loop over the documents that were put in, never against another response.
"""

import contextlib
import json
import signal
import socket
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import eventually
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records import candle
from unit.board import factories
from unit.board.factories import Document

from stack.boards import ELSEWHERE, LINEAR, MINUTE_MS, SPOT, Board, Filled, Stream, key
from stack.servers import Servers


@pytest.fixture(scope="module")
def filled(servers: Servers) -> Iterator[Filled]:
    with servers.lend(["elasticsearch"]):
        yield Filled(servers.stack("elasticsearch"))


@pytest.fixture(scope="module")
def board(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board for tests that leave it and the documents as they were."""
    service = Board(filled.url, tmp_path_factory.mktemp("board") / "log")
    yield service
    service.stop()


@pytest.fixture
def new_board(filled: Filled, tmp_path: Path) -> Iterator[Callable[..., Board]]:
    made_: list[Board] = []

    def make(**settings: object) -> Board:
        made_.append(Board(settings.pop("elasticsearch", filled.url), tmp_path / f"log-{len(made_)}", **settings))
        return made_[-1]

    yield make
    for service in made_:
        service.stop()


@pytest.fixture
def new_stream() -> Iterator[Callable[..., Stream]]:
    made_: list[Stream] = []

    def make(board: Board, **query: Any) -> Stream:
        made_.append(Stream(board, **query))
        return made_[-1]

    yield make
    for stream in made_:
        stream.close()


# The six views


def by_instrument(trades: list[Document]) -> dict[Instrument, list[Document]]:
    found: dict[Instrument, list[Document]] = defaultdict(list)
    for one in trades:
        found[instrument_of_row(one)].append(one)
    return found


def instrument_of_row(row: Document) -> Instrument:
    """Return the instrument of a document, or of a row of a response."""
    return instrument_of(row["venue"], row["market_type"], row["symbol"])


def median(trades: list[Document]) -> float | None:
    return statistics.median(float(one["price"]) for one in trades) if trades else None


def is_close(actual: float | None, wanted: float | None) -> bool:
    return actual == wanted if actual is None or wanted is None else actual == pytest.approx(wanted, rel=1e-12)


PARTS: dict[str, Callable[[Document], bool]] = {
    "buy": lambda one: one["side"] == "Buy",
    "sell": lambda one: one["side"] == "Sell",
    "up": lambda one: one["prediction"] == 1,
    "down": lambda one: one["prediction"] == 0,
}


def check_series(series: Document, trades: list[Document], interval_ms: int) -> None:
    """Hold every number of one symbol against a loop over its trades."""
    buckets: dict[int, list[Document]] = defaultdict(list)
    for one in trades:
        buckets[one["traded_at"] // interval_ms * interval_ms].append(one)
    assert series["at"] == sorted(buckets)
    for place, at in enumerate(series["at"]):
        assert series["trades"][place] == len(buckets[at])
        assert is_close(series["price"][place], median(buckets[at])), (series["symbol"], at)
        for part, fits in PARTS.items():
            chosen = [one for one in buckets[at] if fits(one)]
            assert series[f"{part}_trades"][place] == len(chosen)
            assert is_close(series[f"{part}_price"][place], median(chosen))
            assert series[f"{part}_quantity"][place] == pytest.approx(
                sum(float(one["base_quantity"]) for one in chosen)
            )


def check_market(response: Document, trades: list[Document]) -> None:
    """Hold the six views against a loop over the trades that fit."""
    markets = by_instrument(trades)
    busiest = sorted(markets, key=lambda instrument: (-len(markets[instrument]), instrument))[:12]
    assert response["trades"] == len(trades)
    assert response["buy_trades"] == sum(PARTS["buy"](one) for one in trades)
    assert response["sell_trades"] == response["trades"] - response["buy_trades"]
    assert response["is_truncated"] is (len(markets) > 12)
    assert [instrument_of_row(row) for row in response["totals"]] == busiest
    assert [instrument_of_row(row) for row in response["series"]] == busiest
    for row, series in zip(response["totals"], response["series"], strict=True):
        own = markets[instrument_of_row(row)]
        check_series(series, own, response["interval_ms"])
        check_total(row, own)


def check_total(row: Document, own: list[Document]) -> None:
    assert row["trades"] == len(own)
    groups = {**PARTS, "other": lambda one: one["prediction"] is None}
    for part, fits in groups.items():
        chosen = [float(one["base_quantity"]) for one in own if fits(one)]
        if part != "other":
            assert row[f"{part}_trades"] == len(chosen)
        if part in ("buy", "sell"):
            assert row[f"{part}_quantity"] == pytest.approx(sum(chosen))
        else:
            wanted = sum(chosen) / len(chosen) if chosen else None
            assert row[f"{part}_quantity_mean"] == pytest.approx(wanted)


def test_the_six_views_are_right_for_every_symbol_and_bucket(filled: Filled, board: Board) -> None:
    response = board.get("market", **filled.span)
    assert len({one["traded_at"] // response["interval_ms"] for one in filled.trades}) <= 240
    check_market(response, filled.trades)


FILTERS: dict[str, tuple[dict[str, Any], Callable[[Document], bool]]] = {
    "one instrument": ({"instrument": str(SPOT)}, lambda one: instrument_of_row(one) == SPOT),
    "one symbol everywhere": (
        {"instrument": [str(SPOT), str(LINEAR), str(ELSEWHERE)]},
        lambda one: one["symbol"] == "BTCUSDT",
    ),
    "a venue": ({"venue": "other"}, lambda one: one["venue"] == "other"),
    "a market type": ({"market_type": "spot"}, lambda one: one["market_type"] == "spot"),
    "two symbols": (
        {"instrument": ["bybit:linear:C00USDT", "bybit:linear:C12USDT"], "market_type": "linear"},
        lambda one: one["symbol"] in ("C00USDT", "C12USDT"),
    ),
    "a side": ({"side": "Sell"}, lambda one: one["side"] == "Sell"),
    "a prediction": ({"prediction": 0}, lambda one: one["prediction"] == 0),
    "a state": ({"state": "warming_up"}, lambda one: one["prediction_state"] == "warming_up"),
    "all of it": (
        {"instrument": str(LINEAR), "venue": "bybit", "side": "Buy", "prediction": 1, "state": "ok"},
        lambda one: instrument_of_row(one) == LINEAR and one["side"] == "Buy" and one["prediction"] == 1,
    ),
    "what nobody trades": ({"instrument": "bybit:spot:NONEUSDT"}, lambda _: False),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_select_matching_trades(filled: Filled, board: Board, name: str) -> None:
    query, fits = FILTERS[name]
    check_market(board.get("market", **filled.span, **query), [one for one in filled.trades if fits(one)])


def test_a_span_holds_its_start_and_not_its_end(filled: Filled, board: Board) -> None:
    times = sorted(one["traded_at"] for one in filled.trades)
    from_ms, to_ms = times[1_000], times[3_000]
    inside = [one for one in filled.trades if from_ms <= one["traded_at"] < to_ms]
    check_market(board.get("market", **{"from": from_ms, "to": to_ms}), inside)


# Tape, symbols, chart


def newest(trades: list[Document]) -> list[Document]:
    return sorted(trades, key=lambda one: (one["traded_at"], one["sequence"], one["frame_index"]), reverse=True)


def test_the_tape_is_the_newest_trades_with_the_exchanges_own_digits(filled: Filled, board: Board) -> None:
    response = board.get("tape", instrument=[str(LINEAR), str(SPOT)], side="Buy", limit=50)
    fits = [one for one in filled.trades if instrument_of_row(one) in (LINEAR, SPOT) and one["side"] == "Buy"]
    wanted = newest(fits)[:50]
    names_ = (
        "venue",
        "market_type",
        "symbol",
        "trade_id",
        "traded_at",
        "price",
        "quantity",
        "side",
        "probability",
        "prediction",
    )
    assert [[row[name] for name in names_] for row in response["trades"]] == [
        [one[name] for name in names_] for one in wanted
    ]
    assert response["is_truncated"] is True


def test_symbols_are_counted_from_an_hour_of_candles_and_shown_with_their_newest_trade(
    filled: Filled, board: Board
) -> None:
    response = board.get("symbols")
    assert (response["symbols"][0]["market_type"], response["symbols"][0]["trades"]) == ("linear", 9_999)
    row = next(each for each in response["symbols"] if instrument_of_row(each) == SPOT)
    hour = [one for one in filled.candles if response["from_at"] <= one["@timestamp"] < response["to_at"]]
    assert len(hour) == min(60, (filled.to_ms - response["from_at"]) // MINUTE_MS) > 30
    last = newest([one for one in filled.trades if instrument_of_row(one) == SPOT])[0]
    assert row["trades"] == sum(one["trades"] for one in hour)
    assert row["notional"] == pytest.approx(400.0 * len(hour))
    assert row["buy_share"] == pytest.approx(0.75)
    assert row["last_price"] == float(last["price"])
    assert row["change_bp"] == pytest.approx((float(last["price"]) / hour[-1]["open"] - 1) * 10_000)
    assert (row["traded_at"], row["probability"], row["state"]) == (
        *(last["traded_at"], last["probability"], last["prediction_state"]),
    )


def test_candles_are_returned_as_stored_with_the_windows_of_the_newest(filled: Filled, board: Board) -> None:
    from_ms = filled.to_ms - 30 * MINUTE_MS
    response = board.get("candles", instrument=str(SPOT), **{"from": from_ms, "to": filled.to_ms})
    wanted = sorted((one for one in filled.candles if one["@timestamp"] >= from_ms), key=lambda one: one["@timestamp"])
    assert len(response["candles"]) == 30
    for row, one in zip(response["candles"], wanted, strict=True):
        assert row.pop("at") == one["@timestamp"]
        assert row == {name: one[name] for name in row}
        assert set(candle.INDICATORS) | set(candle.PRICES) < set(row)
    last = wanted[-1]
    for window in response["windows"]:
        assert all(window[name] == last[f"{name}_{window['window']}"] for name in candle.WINDOWED)
    assert [window["window"] for window in response["windows"]] == list(candle.WINDOWS_MINUTES)


def test_markers_have_predictions_and_outcomes_of_each_minute(filled: Filled, board: Board) -> None:
    response = board.get("markers", instrument=str(SPOT), **filled.span)
    minutes: dict[int, list[Document]] = defaultdict(list)
    for one in filled.trades:
        if instrument_of_row(one) == SPOT and one["prediction_state"] == "ok":
            minutes[one["traded_at"] // MINUTE_MS * MINUTE_MS].append(one)
    outcomes = {one["@timestamp"]: one for one in filled.scores if instrument_of_row(one) == SPOT}
    assert [row["at"] for row in response["markers"]] == sorted(minutes)
    for row in response["markers"]:
        own, outcome = minutes[row["at"]], outcomes.get(row["at"], {"predictions": 0, "hits": 0})
        assert (row["predictions"], row["ups"]) == (len(own), sum(one["prediction"] for one in own))
        assert row["mean_probability"] == pytest.approx(statistics.mean(one["probability"] for one in own))
        assert (row["scored"], row["hits"]) == (outcome["predictions"], outcome["hits"])


# Model, reconciliation


def test_scores_and_calibration_are_the_sums_of_the_last_hour(filled: Filled, board: Board) -> None:
    response = board.get("model")
    (scores,) = response["scores"]
    total = scores["total"]
    sums = {name: sum(one[name] for one in filled.scores) for name in ("predictions", "hits", "ups", "pending")}
    assert (total["predictions"], total["pending"]) == (sums["predictions"], sums["pending"])
    assert total["hit_rate"] == pytest.approx(sums["hits"] / sums["predictions"])
    assert total["base_rate"] == pytest.approx(sums["ups"] / sums["predictions"])
    assert (total["brier"], total["prior_brier"], total["rule_hit_rate"]) == pytest.approx((0.2, 0.25, 0.5))
    assert total["skill"] == pytest.approx(0.2)
    assert [(str(instrument_of_row(row)), row["predictions"]) for row in scores["symbols"]] == [
        ("bybit:spot:BTCUSDT", sums["predictions"] - 7),
        ("bybit:linear:C00USDT", 7),
    ]
    seventh = scores["bins"][6]
    assert seventh["predictions"] == sums["predictions"]
    assert seventh["mean_probability"] == pytest.approx(0.65)
    assert seventh["up_share"] == pytest.approx(sums["ups"] / sums["predictions"])
    assert sum(row["predictions"] for row in scores["bins"]) == sums["predictions"]


def test_the_last_training_runs_come_first_and_a_missing_model_has_a_reason(board: Board) -> None:
    response = board.get("model")
    assert [row["run_id"] for row in response["training_runs"]] == [f"run-{number}" for number in range(11, 1, -1)]
    assert response["training_runs"][0]["reasons"] == ["better than the prior"]
    assert response["served"] is None
    assert "BOARD_INFERENCE_URL" in response["served_reason"]


def test_reconciled_when_all_but_the_newest_minute_is_complete(filled: Filled, board: Board) -> None:
    response = board.get("reconciliation", **filled.span)
    assert (response["is_reconciled"], response["reasons"], response["rejects"]) == (True, [], 0)
    wanted = sorted(filled.reconciliation, key=lambda one: one["@timestamp"])
    assert [(row["at"], row["state"], row["indexed"], row["symbols"]) for row in response["minutes"]] == [
        (one["@timestamp"], one["state"], one["indexed"], 1) for one in wanted
    ]
    (row,) = response["symbols"]
    assert (row["state"], row["minutes"], row["not_complete"]) == ("open", 10, 0)
    assert row["received"] == sum(one["received"] for one in filled.reconciliation)


def test_one_bad_minute_of_one_symbol_is_not_reconciled(filled: Filled, board: Board) -> None:
    minute_ms = filled.to_ms - 6 * MINUTE_MS
    bad = factories.reconciliation_of(minute_ms, "incomplete", symbol="C00USDT", market_type="linear", indexed=9)
    filled.put_reconciliation(bad)
    try:
        response = board.get("reconciliation", **filled.span)
        assert (response["is_reconciled"], response["reasons"]) == (False, ["incomplete"])
        row = next(each for each in response["minutes"] if each["at"] == minute_ms)
        assert (row["state"], row["symbols"], row["indexed"]) == ("incomplete", 2, 15 + 9)
        assert response["symbols"][0]["symbol"] == "C00USDT"
    finally:
        index = names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms)
        filled.client.delete(index=index, id=key(bad), refresh=True)


def test_a_reject_without_a_symbol_is_not_reconciled(filled: Filled, board: Board) -> None:
    at_ms = filled.to_ms - 90_000
    reject = {"@timestamp": at_ms, "origin": "producer", "reason": "no JSON", "raw_base64": "", "rejected_at": at_ms}
    filled.put([(names.INDEX_REJECTS, "reject", reject)])
    try:
        response = board.get("reconciliation", **filled.span)
        assert (response["is_reconciled"], response["reasons"], response["rejects"]) == (False, ["rejects"], 1)
    finally:
        filled.client.delete(index=names.INDEX_REJECTS, id="reject", refresh=True)


@pytest.mark.parametrize(
    ("from_", "to", "found"), [(-5.0, -4.5, 1), (-4.2, -4.0, 1), (-3.9, -1.0, 0), (-9.0, -5.1, 0), (-6.0, -1.0, 1)]
)
def test_a_gap_is_returned_wherever_it_overlaps_the_span(
    filled: Filled, board: Board, from_: float, to: float, found: int
) -> None:
    last = filled.to_ms - MINUTE_MS
    span = {"from": round(last + from_ * MINUTE_MS), "to": round(last + to * MINUTE_MS)}
    response = board.get("gaps", **span)["gaps"]
    assert len(response) == found
    assert all(row == {name: filled.gap[name] for name in row} for row in response)
    assert board.get("gaps", **span, instrument="bybit:linear:C00USDT")["gaps"] == []
    assert board.get("gaps", **span, instrument=str(ELSEWHERE))["gaps"] == []


def test_alerts_are_returned_as_stored(filled: Filled, board: Board) -> None:
    (row,) = board.get("alerts", **filled.span)["alerts"]
    wanted = factories.alert_of(filled.to_ms - MINUTE_MS)
    assert row == {name: wanted[name] for name in row}


# Streams


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def fresh_trades(filled: Filled, count: int, **more: Any) -> list[Document]:
    """Put trades of this moment."""
    first, at_ms = len(filled.trades) + 1_000_000, now_ms()
    found = [factories.trade(first + number, at_ms + number, 300.0 + number, 2.0, **more) for number in range(count)]
    filled.put_trades(found)
    return found


def has(tape: Any, trade: Document) -> bool:
    """Return whether a trade is among those of an event."""
    return any(row["trade_id"] == trade["trade_id"] for row in tape["trades"])


def merged(events: list[Any]) -> dict[Instrument, dict[int, tuple[Any, ...]]]:
    """Return what a page knows after some `market` events: rows by instrument and start of bucket."""
    known: dict[Instrument, dict[int, tuple[Any, ...]]] = {}
    for event in events:
        known = {} if event["is_snapshot"] else known
        for series in event["series"]:
            columns = {name: values for name, values in series.items() if isinstance(values, list)}
            rows = known.setdefault(instrument_of_row(series), {})
            rows |= {row[0]: row for row in zip(*columns.values(), strict=True)}
        known = {
            market: {at: row for at, row in rows.items() if at >= event["from_at"]} for market, rows in known.items()
        }
    return {market: rows for market, rows in known.items() if rows}


def test_a_stream_begins_with_the_state_of_everything(board: Board, new_stream: Callable[..., Stream]) -> None:
    stream = new_stream(board, chart_instrument=str(SPOT), window_ms=1_800_000)
    for name in ("status", "symbols", "tape", "candle", "market", "model", "reconciliation", "alerts"):
        stream.wait(name)
    assert stream.events[0][0] == "status"
    assert stream.wait("status")["elasticsearch"] == "available"
    assert all(stream.events_of(name)[0]["is_snapshot"] for name in ("tape", "candle", "market"))
    assert stream.wait("tape")["trades"] == board.get("tape")["trades"]
    assert len(stream.wait("candle")["candles"]) == 60


def test_deltas_have_only_changes_and_merge_to_the_same_state_as_a_new_query(
    filled: Filled, board: Board, new_stream: Callable[..., Stream]
) -> None:
    stream = new_stream(board, instrument=str(SPOT), window_ms=1_800_000, events=["tape", "market"])
    stream.wait("tape"), stream.wait("market")
    for turn in range(3):
        put = fresh_trades(filled, 4, side="Sell" if turn else "Buy", probability=0.9)
        response = stream.wait("tape", lambda event, put=put: has(event, put[-1]))
        assert not response["is_snapshot"]
        assert len(response["trades"]) <= 4
    count = sum(instrument_of_row(one) == SPOT for one in filled.trades)
    last = stream.wait("market", lambda event: event["trades"] == count)
    assert not last["is_snapshot"]
    assert sum(len(series["at"]) for series in last["series"]) < 10
    snapshot = board.get("market", instrument=str(SPOT), **{"from": last["from_at"], "to": last["to_at"]})
    assert snapshot["interval_ms"] == last["interval_ms"]
    assert merged(stream.events_of("market")) == merged([snapshot])
    assert last["totals"] == snapshot["totals"]


def test_an_updated_candle_is_sent_again_and_no_other(
    filled: Filled, board: Board, new_stream: Callable[..., Stream]
) -> None:
    stream = new_stream(board, chart_instrument=str(SPOT), events=["candle"])
    stream.wait("candle")
    old = filled.to_ms - 30 * MINUTE_MS
    index = next(n for n, one in enumerate(filled.candles) if one["@timestamp"] == old)
    filled.candles[index] = filled.candles[index] | {"close": 171.25, "late_trades": 9, "updated_at": now_ms()}
    filled.put_candles(filled.candles[index])
    response = stream.wait("candle", lambda event: not event["is_snapshot"])
    assert [(row["at"], row["close"], row["late_trades"]) for row in response["candles"]] == [(old, 171.25, 9)]
    newest = filled.candles[0]
    assert response["windows"][0]["return_bp"] == newest["return_bp_1m"]


def test_a_new_symbol_appears_at_once(
    filled: Filled, new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    symbol = f"NEW{uuid.uuid4().hex[:6].upper()}"
    stream = new_stream(new_board(), instrument=f"bybit:spot:{symbol}", events=["market", "tape"])
    assert stream.wait("market")["trades"] == 0
    fresh_trades(filled, 3, symbol=symbol)
    stream.wait("market", lambda event: [row["trades"] for row in event["totals"]] == [3])


def test_two_hundred_clients_cost_one_query_a_poll_and_the_next_one_is_rejected(
    new_board: Callable[..., Board], filled: Filled, new_stream: Callable[..., Stream]
) -> None:
    clients = 200
    board = new_board(clients_max=clients, poll_s=0.5)
    query = {"instrument": str(SPOT), "events": "tape"}
    streams = [new_stream(board, **query) for _ in range(clients)]
    for stream in streams:
        stream.wait("tape", lambda event: event["is_snapshot"])
    assert (board.metric("tapeline_board_clients"), board.metric("tapeline_board_pollers")) == (clients, 1)
    refused = board.client.get("/api/stream", params=query)
    assert (refused.status_code, refused.json()["error"]) == (503, "too_many_clients")
    assert refused.headers["retry-after"] == "10"

    searches, start_s = board.metric("tapeline_board_searches_total", query="tape"), time.monotonic()
    (put,) = fresh_trades(filled, 1)
    for stream in streams:
        stream.wait("tape", lambda event: has(event, put))
    polls = board.metric("tapeline_board_searches_total", query="tape") - searches
    assert 1 <= polls <= (time.monotonic() - start_s) / 0.5 + 2
    for stream in streams:
        stream.close()
    eventually(lambda: board.metric("tapeline_board_clients") == 0, "all have left")
    eventually(lambda: board.metric("tapeline_board_pollers") == 0, "all pollers have stopped")
    new_stream(board, **query).wait("tape")


def test_more_different_queries_than_allowed_are_rejected(
    new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    board = new_board(pollers_max=8)
    for number in range(8):
        new_stream(board, instrument=f"bybit:linear:C{number:02}USDT", events="tape").wait("tape")
    refused = board.client.get("/api/stream", params={"instrument": "bybit:linear:C09USDT", "events": "tape"})
    assert (refused.status_code, refused.json()["error"]) == (503, "too_many_queries")
    new_stream(board, instrument="bybit:linear:C00USDT", events="tape").wait("tape")


def test_a_client_that_reads_nothing_costs_no_memory_and_is_disconnected(
    filled: Filled, new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    board = new_board(poll_s=0.05, send_timeout_s=4.0)
    watcher = new_stream(board, instrument="bybit:spot:LOUDUSDT", events="tape")
    watcher.wait("tape")
    with contextlib.ExitStack() as open_ones:
        for _ in range(20):
            open_ones.enter_context(stalled_client(board, b"/api/stream?instrument=bybit:spot:LOUDUSDT&events=tape"))
        eventually(lambda: board.metric("tapeline_board_clients") == 21, "all are connected")
        before = psutil.Process(board.process.pid).memory_info().rss
        for _ in range(60):
            put = fresh_trades(filled, 100, symbol="LOUDUSDT")
            watcher.wait("tape", lambda event, put=put: has(event, put[-1]))
            if board.metric("tapeline_board_clients") == 1:
                break
        # 20 clients times what the watcher was sent, if it were kept for them.
        sent = sum(len(json.dumps(event)) for event in watcher.events_of("tape"))
        grown = psutil.Process(board.process.pid).memory_info().rss - before
        # Buffers of the system and of the server count too.
        assert grown < max(20 * sent / 4, 6 * 2**20), f"{grown} bytes after {sent} bytes of events"
        eventually(lambda: board.metric("tapeline_board_clients") == 1, "the stalled clients are disconnected", 30.0)
    assert not watcher.has_ended()


def stalled_client(board: Board, path: bytes) -> socket.socket:
    """Return a connection that sends a request and then reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", board.port))
    connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: board\r\n\r\n")
    return connection


def test_a_stop_ends_all_streams_at_once_and_in_order(
    new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    board = new_board()
    streams = [new_stream(board) for _ in range(20)]
    for stream in streams:
        stream.wait("market")
    start_s = time.monotonic()
    assert board.stop() == 0
    assert time.monotonic() - start_s < 10
    for stream in streams:
        eventually(stream.has_ended, "a stream ends with the board")
    lines = [json.loads(line) for line in board.log.read_text().splitlines()]
    assert not [line for line in lines if line["level"] not in ("INFO",)]


# Elasticsearch unavailable


def test_a_killed_elasticsearch_is_reported_within_seconds_and_its_return_too(
    filled: Filled, new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    board = new_board(market_refresh_s=2.0)
    stream = new_stream(board, instrument=str(SPOT), window_ms=3_600_000)
    stream.wait("market")
    killed_s = time.monotonic()
    filled.stack.kill("elasticsearch", signal.SIGKILL)
    outage = stream.wait("status", lambda event: event["elasticsearch"] == "unavailable")
    assert time.monotonic() - killed_s < 10
    assert outage["reason"]
    asked_s = time.monotonic()
    refused = board.client.get("/api/market")
    assert time.monotonic() - asked_s < 3
    assert (refused.status_code, refused.json()["error"]) == (503, "elasticsearch_unavailable")
    assert board.client.get("/health/ready").status_code == 200
    assert not stream.has_ended()

    filled.stack.wait_ready("elasticsearch")
    stream.wait(
        "status", lambda event: event["elasticsearch"] == "available" and event["since_at"] > outage["since_at"], 60.0
    )
    (put,) = fresh_trades(filled, 1)
    stream.wait("tape", lambda event: has(event, put))
    count = sum(instrument_of_row(one) == SPOT for one in filled.trades)
    stream.wait("market", lambda event: event["trades"] == count, 30.0)
    # Shards that are still starting are an outage too, never an response that is only a part.
    assert not [event for event in stream.events_of("market") if event["trades"] < count - 50]


def test_a_stopped_elasticsearch_is_reported_and_its_return_too(
    filled: Filled, new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    board = new_board(request_timeout_s=2.0)
    stream = new_stream(board, events="tape")
    stream.wait("tape")
    filled.stack.kill("elasticsearch", signal.SIGSTOP)
    try:
        stream.wait("status", lambda event: event["elasticsearch"] == "unavailable", 15.0)
        asked_s = time.monotonic()
        assert board.client.get("/api/symbols").status_code == 503
        assert time.monotonic() - asked_s < 1.9, "without a search"
    finally:
        filled.stack.kill("elasticsearch", signal.SIGCONT)
    stream.wait(
        "status",
        lambda event: event["elasticsearch"] == "available" and event is not stream.events_of("status")[0],
        30.0,
    )


def test_a_board_that_starts_first_waits_for_elasticsearch(
    filled: Filled, new_board: Callable[..., Board], new_stream: Callable[..., Stream]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    board = new_board(elasticsearch=f"http://127.0.0.1:{port}")
    stream = new_stream(board)
    assert stream.wait("status")["elasticsearch"] == "unavailable"
    assert "call failed" in stream.wait("status")["reason"].lower()
    page = board.client.get("/")
    assert page.status_code in (200, 503)
    assert "content-security-policy" in page.headers


HOSTILE = {
    "an unknown parameter": "market?canary=1",
    "a symbol with a bar": "market?instrument=bybit:spot:%7Ccanary",
    "a symbol without its venue": "market?symbol=canary",
    "thirteen instruments": "market?" + "&".join(f"instrument=bybit:spot:S{n}" for n in range(13)),
    "a time in seconds": "market?from=1700000000",
    "an end before the start": "market?from=1700000060000&to=1700000000000",
    "ten years": "market?from=1400000000000&to=1700000000000",
    "a limit of a million": "tape?limit=1000000",
    "no instrument": "candles",
    "another market type": "candles?instrument=bybit:option:BTCUSDT",
    "an instrument encoded twice": "candles?instrument=bybit%253Aspot%253ABTCUSDT",
    "a window of a week": "stream?window_ms=604800000",
    "an unknown event": "stream?events=canary",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_invalid_query_is_rejected_without_repeating_input(board: Board, name: str) -> None:
    response = board.client.get(f"/api/{HOSTILE[name]}")
    assert response.status_code == 422
    assert set(response.json()) == {"error", "message"}
    assert response.json()["error"] == "invalid_query"
    assert response.text.count("canary") == HOSTILE[name].count("?canary=")
    assert "content-security-policy" in response.headers


def test_responses_are_compressed_on_request(filled: Filled, board: Board) -> None:
    plain = board.client.get("/api/market", params=filled.span, headers={"Accept-Encoding": "identity"})
    packed = board.client.get("/api/market", params=filled.span, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) * 3 < int(plain.headers["content-length"])
    assert packed.json()["series"] == plain.json()["series"]
