"""Factories and fakes for the tests of the simulator."""

from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_simulator.bybit.frames import BybitTrade, Frame, encode, instrument_of
from tapeline_simulator.bybit.instruments import InstrumentInfo, from_trades
from tapeline_simulator.sources.source import RUNNING

T0 = 1_790_000_000_000
BTC: Instrument = instrument_of("spot", "BTCUSDT")


def trade(number: int = 1, **changes: object) -> BybitTrade:
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
    return BybitTrade(**{**fields, **changes})


def frame(*trades: BybitTrade, instrument: Instrument = BTC) -> Frame:
    return Frame(instrument, trades, encode(instrument, trades, trades[0].traded_at + 1))


def info(category: MarketType, symbol: str, number: int = 1) -> InstrumentInfo:
    return from_trades(category, symbol, number, [("100.5", "2")])


class RecordingSubscriber:
    """Fake subscriber that records payloads."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def push(self, payload: bytes) -> None:
        self.payloads.append(payload)


class InMemoryLedger:
    """Fake ledger in memory; calls `on_append` before it appends."""

    def __init__(self, on_append=lambda: None) -> None:
        self.rows, self.last, self.recent_rows = 0, None, {}
        self.lines: list[bytes] = []
        self.observed: list[object] = []
        self._on_append = on_append

    def append(self, lines) -> None:
        self.observed.append(self._on_append())
        self.lines.extend(lines)
        self.rows += len(lines)


class ScriptedSource:
    """Fake source that returns prepared frames, one list per call."""

    name = "script"
    state = RUNNING

    def __init__(self, *ticks: list[Frame], instruments: tuple[Instrument, ...] = (BTC,)) -> None:
        self._ticks = list(ticks)
        self.instruments = {instrument: info(instrument.market_type, instrument.symbol) for instrument in instruments}
        self.subscribed: list[tuple[Instrument, int]] = []
        self.skipped: list[int] = []

    def on_subscribe(self, instrument, now_ms) -> None:
        self.subscribed.append((instrument, now_ms))

    def advance(self, now_ms):
        return self._ticks.pop(0) if self._ticks else []

    def skip(self, milliseconds) -> None:
        self.skipped.append(milliseconds)

    def resume(self, last, recent_rows) -> None:
        self.resumed = (last, recent_rows)

    def is_rpi(self, instrument, trade_id):
        return True

    def is_block_trade(self, instrument, trade_id):
        return False
