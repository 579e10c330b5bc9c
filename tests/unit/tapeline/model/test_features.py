"""Every feature against a naive loop, and against itself with the future or the far past deleted."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from tapeline.model import features
from tapeline.model.features import FEATURE_NAMES, LOOKBACK_MS, LOOKBACK_TRADES, TradeColumns

Compute = Callable[[TradeColumns, np.ndarray], tuple[np.ndarray, np.ndarray]]
PICK = {name: column for column, name in enumerate(FEATURE_NAMES)}


def synthetic_trades(
    count: int, seed: int, *, pauses_ms: tuple[int, ...] = (0, 0, 0, 3, 40, 700, 4_000)
) -> TradeColumns:
    """One symbol: ties in time, repeated prices, runs of one side, and now and then a long silence."""
    draw = np.random.default_rng(seed)
    pauses = draw.choice(pauses_ms, count) + np.where(draw.random(count) < 0.004, 400_000, 0)
    moves = draw.choice([-0.5, 0.0, 0.0, 0.0, 0.5], count)
    return TradeColumns(
        traded_at_ms=1_700_000_000_000 + np.cumsum(pauses),
        price=100.0 + np.maximum(np.cumsum(moves), -90.0),
        quantity=np.round(draw.lognormal(0, 2, count), 6) + 1e-6,
        is_buy=np.repeat(draw.random(count // 3 + 1) < 0.5, 3)[:count],
        group_start=np.zeros(count, dtype=np.int64),
    )


def joined(*symbols: TradeColumns) -> TradeColumns:
    """Several symbols side by side."""
    lengths = [len(symbol.price) for symbol in symbols]
    starts = np.cumsum([0, *lengths[:-1]])
    columns = {
        name: np.concatenate([getattr(symbol, name) for symbol in symbols])
        for name in ("traded_at_ms", "price", "quantity", "is_buy")
    }
    return TradeColumns(**columns, group_start=np.repeat(starts, lengths))


def part(trades: TradeColumns, start: int, stop: int) -> TradeColumns:
    """Rows start:stop of one symbol, as if nothing else had ever been traded."""
    columns = {name: getattr(trades, name)[start:stop] for name in ("traded_at_ms", "price", "quantity", "is_buy")}
    return TradeColumns(**columns, group_start=np.zeros(stop - start, dtype=np.int64))


def reach(trades: TradeColumns, row: int) -> list[int]:
    oldest = trades.traded_at_ms[row] - LOOKBACK_MS
    return [j for j in range(row + 1) if trades.traded_at_ms[j] >= oldest and row - j < LOOKBACK_TRADES]


class Naive:
    """One row's features by their plain meaning, in loops over Python floats."""

    def __init__(self, trades: TradeColumns, row: int) -> None:
        self.seen = reach(trades, row)
        self.row = row
        self.t = [int(v) for v in trades.traded_at_ms]
        self.p = [float(v) for v in trades.price]
        self.q = [float(v) for v in trades.quantity]
        self.buy = [bool(v) for v in trades.is_buy]

    def sign(self, j: int) -> float:
        return 1.0 if self.buy[j] else -1.0

    def recent(self, ms: int) -> list[int]:
        return [j for j in self.seen if self.t[self.row] - self.t[j] <= ms]

    def side_mean(self, count: int) -> float:
        window = self.seen[-count:]
        return math.fsum(self.sign(j) for j in window) / len(window)

    def imbalance(self, window: list[int]) -> float:
        total = math.fsum(self.p[j] * self.q[j] for j in window)
        return math.fsum(self.sign(j) * self.p[j] * self.q[j] for j in window) / total

    def return_bp(self, back: int) -> float:
        earlier = self.seen[-back - 1] if len(self.seen) > back else self.seen[0]
        return (self.p[self.row] / self.p[earlier] - 1) * 1e4

    def volatility(self) -> float:
        pairs = list(zip(self.seen[:-1], self.seen[1:], strict=True))[-50:]
        squares = [((self.p[b] / self.p[a] - 1) * 1e4) ** 2 for a, b in pairs]
        return math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0

    def vwap_distance(self) -> float:
        window = self.recent(5_000)
        vwap = math.fsum(self.p[j] * self.q[j] for j in window) / math.fsum(self.q[j] for j in window)
        return (self.p[self.row] / vwap - 1) * 1e4

    def notional_ratio(self) -> float:
        window = self.seen[-50:]
        mean = math.fsum(self.p[j] * self.q[j] for j in window) / len(window)
        return math.log(self.p[self.row] * self.q[self.row] / mean)

    def pause(self) -> float:
        return float(self.t[self.row] - self.t[self.seen[-2]]) if len(self.seen) > 1 else 0.0

    def last_move(self) -> tuple[float, float]:
        for back, j in enumerate(reversed(self.seen[1:])):
            if self.p[j] != self.p[j - 1]:
                return (1.0 if self.p[j] > self.p[j - 1] else -1.0), float(back)
        return 0.0, float(len(self.seen))

    def quotes(self) -> tuple[float, float]:
        own = self.p[self.row]
        bought = [self.p[j] for j in self.seen if self.buy[j]]
        sold = [self.p[j] for j in self.seen if not self.buy[j]]
        return (bought[-1] if bought else own), (sold[-1] if sold else own)


ORACLE: dict[str, Callable[[Naive], float]] = {
    "side_sign": lambda n: n.sign(n.row),
    "side_mean_5": lambda n: n.side_mean(5),
    "side_mean_20": lambda n: n.side_mean(20),
    "side_mean_100": lambda n: n.side_mean(100),
    "notional_imbalance_20": lambda n: n.imbalance(n.seen[-20:]),
    "notional_imbalance_5s": lambda n: n.imbalance(n.recent(5_000)),
    "return_5_bp": lambda n: n.return_bp(5),
    "return_20_bp": lambda n: n.return_bp(20),
    "return_100_bp": lambda n: n.return_bp(100),
    "volatility_50_bp": lambda n: n.volatility(),
    "vwap_distance_5s_bp": lambda n: n.vwap_distance(),
    "log_notional_ratio_50": lambda n: n.notional_ratio(),
    "trades_1s": lambda n: float(len(n.recent(1_000))),
    "trades_5s": lambda n: float(len(n.recent(5_000))),
    "pause_ms": lambda n: n.pause(),
    "move_direction": lambda n: n.last_move()[0],
    "trades_since_move": lambda n: n.last_move()[1],
    "quote_distance_bp": lambda n: (n.p[n.row] / (sum(n.quotes()) / 2) - 1) * 1e4,
    "spread_bp": lambda n: (n.quotes()[0] - n.quotes()[1]) / n.p[n.row] * 1e4,
}

MARKETS = {
    "busy": synthetic_trades(700, 1, pauses_ms=(0, 0, 1, 30)),
    "calm": synthetic_trades(500, 2),
    "sparse": synthetic_trades(300, 3, pauses_ms=(20_000, 90_000, 300_000)),
    "short": synthetic_trades(3, 4),
}


@pytest.fixture(scope="module", params=MARKETS, ids=str)
def market(request: pytest.FixtureRequest) -> tuple[TradeColumns, np.ndarray, list[Naive]]:
    trades = MARKETS[request.param]
    rows = np.arange(len(trades.price))
    return trades, features.compute(trades, rows)[0], [Naive(trades, int(row)) for row in rows]


def test_every_feature_has_an_oracle() -> None:
    assert set(ORACLE) == set(FEATURE_NAMES)


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_feature_equals_its_naive_loop(market, name: str) -> None:
    _, matrix, rows = market
    expected = [ORACLE[name](row) for row in rows]
    np.testing.assert_allclose(matrix[:, PICK[name]], expected, rtol=1e-9, atol=1e-9)


def test_features_of_any_trades_are_finite(market) -> None:
    assert np.isfinite(market[1]).all()


def test_row_with_one_trade_less_than_the_minimum_has_too_little_past() -> None:
    trades = synthetic_trades(100, 5, pauses_ms=(1,))
    _, enough = features.compute(part(trades, 0, 25), np.arange(25))
    assert enough.tolist() == [False] * 19 + [True] * 6


def test_trade_exactly_as_old_as_the_lookback_is_in_reach_and_an_older_one_is_not() -> None:
    times = np.array([0, 1, LOOKBACK_MS + 1], dtype=np.int64) + 1_700_000_000_000
    trades = TradeColumns(times, np.array([1.0, 2.0, 3.0]), np.ones(3), np.ones(3, bool), np.zeros(3, np.int64))
    matrix, _ = features.compute(trades, np.array([2]))
    assert matrix[0, PICK["return_20_bp"]] == pytest.approx(5_000)


def test_hand_computed_row_of_four_trades() -> None:
    trades = TradeColumns(
        traded_at_ms=np.array([0, 4_000, 4_000, 6_000], dtype=np.int64) + 1_700_000_000_000,
        price=np.array([100.0, 101.0, 101.0, 100.0]),
        quantity=np.array([1.0, 2.0, 1.0, 3.0]),
        is_buy=np.array([True, True, False, False]),
        group_start=np.zeros(4, dtype=np.int64),
    )
    row = dict(zip(FEATURE_NAMES, features.compute(trades, np.array([3]))[0][0], strict=True))
    assert row["side_mean_5"] == 0
    assert row["notional_imbalance_20"] == pytest.approx((100 + 202 - 101 - 300) / 703)
    assert row["notional_imbalance_5s"] == pytest.approx((202 - 101 - 300) / 603)
    assert (row["trades_1s"], row["trades_5s"], row["pause_ms"]) == (1, 3, 2_000)
    assert (row["move_direction"], row["trades_since_move"]) == (-1, 0)
    assert row["spread_bp"] == pytest.approx(100)
    assert row["quote_distance_bp"] == pytest.approx((100 / 100.5 - 1) * 1e4)


def differing_rows(compute: Compute, trades: TradeColumns) -> list[int]:
    """Rows whose features change when everything outside their own past and reach is deleted."""
    whole, enough = compute(trades, np.arange(len(trades.price)))
    wrong = []
    for row in range(len(trades.price)):
        first = reach(trades, row)[0]
        alone, enough_alone = compute(part(trades, first, row + 1), np.array([row - first]))
        if alone[0].tobytes() != whole[row].tobytes() or enough_alone[0] != enough[row]:
            wrong.append(row)
    return wrong


def test_features_do_not_change_by_a_bit_without_the_future_and_the_far_past(market) -> None:
    assert differing_rows(features.compute, market[0]) == []


def test_feature_that_knows_tomorrows_price_is_caught() -> None:
    def leaking(trades: TradeColumns, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix, enough = features.compute(trades, rows)
        tomorrow = trades.price[np.minimum(rows + 1, len(trades.price) - 1)]
        return np.column_stack([matrix, tomorrow]), enough

    assert differing_rows(leaking, synthetic_trades(200, 6))


def test_feature_that_remembers_too_far_is_caught() -> None:
    def remembering(trades: TradeColumns, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix, enough = features.compute(trades, rows)
        return np.column_stack([matrix, np.cumsum(trades.quantity)[rows]]), enough

    assert differing_rows(remembering, synthetic_trades(400, 7))


def test_symbol_is_not_touched_by_its_neighbours() -> None:
    alone, neighbours = synthetic_trades(300, 8), (synthetic_trades(250, 9), synthetic_trades(1, 10))
    crowd = joined(neighbours[0], alone, neighbours[1])
    rows = np.arange(250, 550)
    expected, enough = features.compute(alone, np.arange(300))
    found, enough_found = features.compute(crowd, rows)
    assert found.tobytes() == expected.tobytes()
    assert enough_found.tolist() == enough.tolist()


def test_asking_for_some_rows_gives_the_same_as_asking_for_all() -> None:
    trades = synthetic_trades(300, 11)
    some = np.array([0, 7, 8, 150, 299])
    whole, _ = features.compute(trades, np.arange(300))
    assert features.compute(trades, some)[0].tobytes() == whole[some].tobytes()


def test_asking_for_no_rows_gives_none() -> None:
    matrix, enough = features.compute(synthetic_trades(30, 12), np.array([], dtype=np.int64))
    assert matrix.shape == (0, len(FEATURE_NAMES)) and enough.shape == (0,)


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="must be equal"):
        TradeColumns(np.zeros(2, np.int64), np.ones(1), np.ones(2), np.ones(2, bool), np.zeros(2, np.int64))


def test_schema_hash_changes_with_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = features.schema_hash()
    monkeypatch.setattr(features, "VERSION", "another")
    assert features.schema_hash() != before
