"""The candles' state on disk, with that of those who follow them: one file, so that it is of one place in the log."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from tapeline_spark.candles.closed_history import Past
from tapeline_spark.candles.listener import Key
from tapeline_spark.candles.open_minute import Ids, Minute
from tapeline_spark.candles.state import Book, Series
from tapeline_spark.trades.lookback import Order
from tapeline_spark.trades.snapshot import write_whole

log = logging.getLogger(__name__)

_FORMAT: Final = 1
"""Raised whenever the state would mean something else; a file of another format is no file."""


class _MinuteState(msgspec.Struct, array_like=True):
    at: int
    first: Order
    last: Order
    prices: tuple[float, float, float, float]
    sums: tuple[str, str, str]
    counts: tuple[int, int, int]
    ids: bytes


class _SeriesState(msgspec.Struct):
    key: Key
    partition: int
    first_ms: int
    shown_ms: int
    newest: Order
    minutes: list[_MinuteState]
    past: tuple[int, int | None, tuple[bytes, bytes, bytes, bytes]]
    missed: dict[int, int]


class _State(msgspec.Struct):
    format: int
    late_ms: int
    next_offset: list[tuple[str, int, int]]
    whole_from: dict[int, int]
    clock: dict[int, int]
    series: list[_SeriesState]
    followers: dict[str, bytes]


def save(book: Book, followers: dict[str, bytes], path: Path) -> None:
    """Write a book, shown as it is, so that a crash leaves the old file or the new one."""
    state = _State(
        _FORMAT,
        book.late_ms,
        [(topic, partition, offset) for (topic, partition), offset in book.next_offset.items()],
        book.whole_from,
        book.clock,
        [_series_state(key, series) for key, series in book.series.items()],
        followers,
    )
    write_whole(path, msgspec.msgpack.encode(state))


def load(path: Path, late_minutes: int, quiet_minutes: int) -> tuple[Book, dict[str, bytes]] | None:
    """Return the saved book and the followers' states, or None where there is none that can be used."""
    try:
        state = msgspec.msgpack.decode(path.read_bytes(), type=_State)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        log.warning("state of the candles unreadable, the log is read instead", extra={"reason": str(error)})
        return None
    book = Book(late_minutes, quiet_minutes)
    # With a longer horizon than it was made with, minutes lack what has been forgotten of them.
    if state.format != _FORMAT or state.late_ms < book.late_ms:
        return None
    book.next_offset = {(topic, partition): offset for topic, partition, offset in state.next_offset}
    book.whole_from, book.clock = state.whole_from, state.clock
    book.series = {item.key: _series(item) for item in state.series}
    return book, state.followers


def _series_state(key: Key, series: Series) -> _SeriesState:
    past = series.past
    return _SeriesState(
        key,
        series.partition,
        series.first_ms,
        series.shown_ms,
        series.newest,
        [_minute_state(at, item) for at, item in series.minutes.items()],
        (past.end_ms, past.traded_ms, past.packed()),
        series.missed,
    )


def _minute_state(at: int, item: Minute) -> _MinuteState:
    return _MinuteState(
        at,
        item.first,
        item.last,
        (item.open, item.high, item.low, item.close),
        (str(item.volume), str(item.notional), str(item.buy_volume)),
        (item.trades, item.late_trades, item.logged),
        item.ids.packed(),
    )


def _series(state: _SeriesState) -> Series:
    return Series(
        state.partition,
        state.first_ms,
        state.shown_ms,
        state.newest,
        _past(state.past),
        {item.at: _minute(item) for item in state.minutes},
        state.missed,
    )


def _past(state: tuple[int, int | None, tuple[bytes, bytes, bytes, bytes]]) -> Past:
    end_ms, traded_ms, columns = state
    past = Past(end_ms, traded_ms)
    past.closes.frombytes(columns[0])
    past.volumes.frombytes(columns[1])
    past.buys.frombytes(columns[2])
    past.trades.frombytes(columns[3])
    return past


def _minute(state: _MinuteState) -> Minute:
    volume, notional, buy_volume = (Decimal(text) for text in state.sums)
    return Minute(state.first, state.last, *state.prices, volume, notional, buy_volume, *state.counts, Ids(state.ids))
