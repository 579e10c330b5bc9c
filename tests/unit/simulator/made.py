"""Trades, items and doubles that the tests of the simulator share."""

from tapeline_simulator.bybit.frames import Frame, Key, Trade, encode
from tapeline_simulator.bybit.instruments import Instrument, from_trades
from tapeline_simulator.sources.source import RUNNING

T0 = 1_790_000_000_000
BTC: Key = ("spot", "BTCUSDT")


def trade(number: int = 1, **changes: object) -> Trade:
    fields = {
        "trade_id": f"{2290000000000000000 + number}",
        "traded_at": T0 + number,
        "price": "83805.1",
        "quantity": "0.001466",
        "side": "Buy",
        "sequence": 115058640184 + number,
        "frame_index": 0,
        "tick_direction": None,
        "is_block_trade": False,
        "is_rpi": False,
    }
    return Trade(**{**fields, **changes})


def frame(*trades: Trade, key: Key = BTC) -> Frame:
    return Frame(key, trades, encode(key, trades, trades[0].traded_at + 1))


def instrument(category: str, symbol: str, number: int = 1) -> Instrument:
    return from_trades(category, symbol, number, [("100.5", "2")])


class Listener:
    """A subscriber that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def push(self, payload: bytes) -> None:
        self.got.append(payload)


class Notebook:
    """A ledger in memory; `witness` is asked at the moment of writing."""

    def __init__(self, witness=lambda: None) -> None:
        self.rows, self.last, self.tails = 0, None, {}
        self.lines: list[bytes] = []
        self.witnessed: list[object] = []
        self._witness = witness

    def append(self, lines) -> None:
        self.witnessed.append(self._witness())
        self.lines.extend(lines)
        self.rows += len(lines)


class Script:
    """A source that gives out prepared frames, one list a call."""

    name = "script"
    state = RUNNING

    def __init__(self, *ticks: list[Frame], keys: tuple[Key, ...] = (BTC,)) -> None:
        self._ticks = list(ticks)
        self.instruments = {key: instrument(*key) for key in keys}
        self.heard: list[tuple[Key, int]] = []
        self.skipped: list[int] = []

    def listen(self, key, now_ms) -> None:
        self.heard.append((key, now_ms))

    def advance(self, now_ms):
        return self._ticks.pop(0) if self._ticks else []

    def skip(self, milliseconds) -> None:
        self.skipped.append(milliseconds)

    def resume(self, last, tails) -> None:
        self.resumed = (last, tails)

    def is_rpi(self, key, trade_id):
        return True

    def is_block_trade(self, key, trade_id):
        return False
