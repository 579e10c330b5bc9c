"""Saves the candle state and the states of its listeners in one file, all of one log position."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
from tapeline.instrument import Instrument
from tapeline.service.files import write_atomically

from tapeline_spark.candles.closed_history import ClosedHistory
from tapeline_spark.candles.open_minute import OpenMinute, TradeIds
from tapeline_spark.candles.state import CandleState, SymbolCandles
from tapeline_spark.kafka.decode import TopicPartition
from tapeline_spark.trades.lookback import Order

log = logging.getLogger(__name__)

_FORMAT: Final = 4
"""Raised whenever the meaning of the state or of a listener's changes; a file of another format is ignored."""


class _MinuteSnapshot(msgspec.Struct, array_like=True):
    at: int
    first: Order
    last: Order
    prices: tuple[float, float, float, float]
    sums: tuple[str, str, str]
    counts: tuple[int, int, int]
    ids: bytes


class _SymbolSnapshot(msgspec.Struct):
    instrument: str
    partition: TopicPartition
    first_ms: int
    published_until_ms: int
    newest: Order
    minutes: list[_MinuteSnapshot]
    closed: tuple[int, int | None, tuple[bytes, bytes, bytes, bytes]]
    missed: dict[int, int]


class _Header(msgspec.Struct):
    format: int


class _State(_Header):
    late_ms: int
    next_offset: list[tuple[str, int, int]]
    complete_from: list[tuple[str, int, int]]
    newest_ms: list[tuple[str, str, int, int]]
    symbols: list[_SymbolSnapshot]
    listeners: dict[str, bytes]


def save(state: CandleState, listeners: dict[str, bytes], path: Path) -> None:
    """Write a snapshot atomically."""
    stored = _State(
        _FORMAT,
        state.late_ms,
        [(topic, partition, offset) for (topic, partition), offset in state.next_offset.items()],
        [(topic, partition, minute_ms) for (topic, partition), minute_ms in state.complete_from.items()],
        [(venue, *partition, at_ms) for venue, own in state.newest_ms.items() for partition, at_ms in own.items()],
        [_symbol_snapshot(instrument, symbol_candles) for instrument, symbol_candles in state.symbols.items()],
        listeners,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.msgpack.encode(stored))


def load(path: Path, late_minutes: int, quiet_minutes: int) -> tuple[CandleState, dict[str, bytes]] | None:
    """Return the saved state and the listeners' states, or None if there is no usable file."""
    try:
        content = path.read_bytes()
        found = msgspec.msgpack.decode(content, type=_Header).format
        if found != _FORMAT:
            text = f"snapshot {path} has format {found}; this release reads format {_FORMAT}: replaying the log"
            log.warning(text)
            return None
        stored = msgspec.msgpack.decode(content, type=_State)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        log.warning("candle snapshot unreadable; replaying the log", extra={"reason": str(error)})
        return None
    state = CandleState(late_minutes, quiet_minutes)
    # With a longer horizon than at the time of the snapshot, minutes lack data that was dropped.
    if stored.late_ms < state.late_ms:
        return None
    state.next_offset = {(topic, partition): offset for topic, partition, offset in stored.next_offset}
    state.complete_from = {(topic, partition): minute_ms for topic, partition, minute_ms in stored.complete_from}
    for venue, topic, partition, at_ms in stored.newest_ms:
        state.newest_ms.setdefault(venue, {})[topic, partition] = at_ms
    state.symbols = {Instrument.parse(item.instrument): _symbol_candles(item) for item in stored.symbols}
    return state, stored.listeners


def _symbol_snapshot(instrument: Instrument, symbol_candles: SymbolCandles) -> _SymbolSnapshot:
    closed = symbol_candles.closed
    return _SymbolSnapshot(
        str(instrument),
        symbol_candles.partition,
        symbol_candles.first_ms,
        symbol_candles.published_until_ms,
        symbol_candles.newest,
        [_minute_snapshot(at, item) for at, item in symbol_candles.minutes.items()],
        (closed.end_ms, closed.traded_ms, closed.to_bytes()),
        symbol_candles.missed,
    )


def _minute_snapshot(at: int, item: OpenMinute) -> _MinuteSnapshot:
    return _MinuteSnapshot(
        at,
        item.first,
        item.last,
        (item.open, item.high, item.low, item.close),
        (str(item.volume), str(item.notional), str(item.buy_volume)),
        (item.trades, item.late_trades, item.logged),
        item.ids.to_bytes(),
    )


def _symbol_candles(stored: _SymbolSnapshot) -> SymbolCandles:
    return SymbolCandles(
        stored.partition,
        stored.first_ms,
        stored.published_until_ms,
        stored.newest,
        _closed_history(stored.closed),
        {item.at: _minute(item) for item in stored.minutes},
        stored.missed,
    )


def _closed_history(stored: tuple[int, int | None, tuple[bytes, bytes, bytes, bytes]]) -> ClosedHistory:
    end_ms, traded_ms, columns = stored
    closed = ClosedHistory(end_ms, traded_ms)
    closed.closes.frombytes(columns[0])
    closed.volumes.frombytes(columns[1])
    closed.buys.frombytes(columns[2])
    closed.trades.frombytes(columns[3])
    return closed


def _minute(stored: _MinuteSnapshot) -> OpenMinute:
    volume, notional, buy_volume = (Decimal(text) for text in stored.sums)
    return OpenMinute(
        stored.first, stored.last, *stored.prices, volume, notional, buy_volume, *stored.counts, TradeIds(stored.ids)
    )
