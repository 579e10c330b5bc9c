"""Reads recorded trades of any venue from a parquet table, as Bybit frames.

Columns: source, market, symbol, ts_ms, price, qty, side, trade_id. Sources may be years apart:
all start at the same time and keep their own pace. If two sources have the same symbol, its trades
are ordered by time, and a pause of more than MAX_PAUSE_MS between the sources lasts one second.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from re import fullmatch
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from tapeline.enums import MarketType, Side
from tapeline.instrument import SYMBOL_PATTERN, Instrument
from tapeline.trade import DECIMAL_PATTERN, EARLIEST_MS, LATEST_MS, TRADE_ID_PATTERN

from tapeline_simulator.bybit.frames import (
    MAX_TRADES_PER_FRAME,
    BybitTrade,
    FrameIndex,
    NewerFields,
    TickDirection,
    instrument_of,
)
from tapeline_simulator.bybit.instruments import plain
from tapeline_simulator.errors import CaptureRefused
from tapeline_simulator.sources.replay import RecordedFrame, Recording

COLUMNS: Final = ("source", "market", "symbol", "ts_ms", "price", "qty", "side", "trade_id")
MAX_PAUSE_MS: Final = 3_600_000
"""A longer pause between two sources of one symbol is shortened to SHORT_PAUSE_MS."""
SHORT_PAUSE_MS: Final = 1_000
_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_DERIVATIVES: Final = (MarketType.LINEAR, MarketType.INVERSE)
_ID_NAMESPACE: Final = uuid.UUID("0c7c1c53-77a1-5d0e-8a4e-9a1c52b7f5a1")


class _Fill(NamedTuple):
    source: str
    traded_at: int
    price: str
    quantity: str
    side: str
    trade_id: str


def read(path: Path, newer: NewerFields) -> Recording:
    """Read a table of trades.

    An exact duplicate is skipped and counted.

    Args:
        path: the parquet file.
        newer: which of the newer fields the trades have.

    Raises:
        CaptureRefused: a column is missing, a value is invalid, or a trade id occurs again with
            other values.
    """
    fills: dict[Instrument, dict[str, _Fill]] = defaultdict(dict)
    duplicates = 0
    for number, row in enumerate(_rows(path), start=1):
        try:
            instrument, fill = _fill(row, number)
            before = fills[instrument].setdefault(fill.trade_id, fill)
            if before != fill:
                raise ValueError(f"trade id {fill.trade_id!r} a second time, with other values")
        except (KeyError, TypeError, ValueError) as error:
            raise CaptureRefused(path, f"row {number}", str(error), "it must be a trade") from error
        duplicates += before is not fill
    if not fills:
        raise CaptureRefused(path, "content", "empty", "a recording must hold a trade")
    starts = _starts(fills)
    items = [item for instrument, own in fills.items() for item in _items(instrument, own, starts, newer)]
    items.sort(key=lambda item: item.offset_ms)
    return Recording(items, duplicates)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise CaptureRefused(path, "content", str(error), "it must be parquet") from error
    with file:
        present = file.schema_arrow.names
        missing = [name for name in COLUMNS if name not in present]
        if missing:
            raise CaptureRefused(path, "columns", present, f"it must have {missing} too")
        for batch in file.iter_batches(columns=list(COLUMNS)):
            yield from batch.to_pylist()


def _fill(row: dict[str, Any], number: int) -> tuple[Instrument, _Fill]:
    category = MarketType(row["market"]) if row["market"] in _DERIVATIVES else MarketType.SPOT
    symbol, traded_at = _matching("symbol", row["symbol"], SYMBOL_PATTERN), int(row["ts_ms"])
    if not EARLIEST_MS <= traded_at <= LATEST_MS:
        raise ValueError(f"ts_ms {traded_at}, which is not in milliseconds")
    trade_id = str(row["trade_id"])
    if not fullmatch(TRADE_ID_PATTERN, trade_id):
        trade_id = str(uuid.uuid5(_ID_NAMESPACE, f"{row['source']}|{symbol}|{number}"))
    fill = _Fill(
        str(row["source"]),
        traded_at,
        _matching("price", decimal_text(row["price"]), DECIMAL_PATTERN),
        _matching("qty", decimal_text(row["qty"]), DECIMAL_PATTERN),
        _SIDES[str(row["side"]).lower()],
        trade_id,
    )
    return instrument_of(category, symbol), fill


def _matching(name: str, text: str, pattern: str) -> str:
    if not fullmatch(pattern, text):
        raise ValueError(f"{name} {text!r}")
    return text


def decimal_text(value: float | Decimal | str) -> str:
    """Return a number of the file as plain decimal text.

    A float gives its shortest representation; a Decimal or a text keeps its digits, including trailing
    zeros.

    Raises:
        ValueError: it is no number.
    """
    try:
        if isinstance(value, float):
            return plain(Decimal(repr(value)))
        return format(Decimal(value), "f")
    except InvalidOperation:
        raise ValueError(f"number {value!r}") from None


def _starts(fills: dict[Instrument, dict[str, _Fill]]) -> dict[str, int]:
    starts: dict[str, int] = {}
    for own in fills.values():
        for fill in own.values():
            starts[fill.source] = min(starts.get(fill.source, fill.traded_at), fill.traded_at)
    return starts


def _items(
    instrument: Instrument, own: dict[str, _Fill], starts: dict[str, int], newer: NewerFields
) -> Iterator[RecordedFrame]:
    """Yield one symbol's frames: consecutive trades of one millisecond and side are one taker order."""
    fills = sorted(own.values(), key=lambda fill: fill.traded_at)
    index, direction = FrameIndex(), TickDirection()
    offset_ms, number, start = fills[0].traded_at - starts[fills[0].source], 0, 0
    while start < len(fills):
        first = fills[start]
        stop = start + 1
        while stop < len(fills) and fills[stop][:2] == first[:2] and fills[stop].side == first.side:
            stop += 1
        number += 1
        # Sequences on the exchange are not consecutive: readers must not rely on it.
        sequence = 7 * number if newer.sequence else None
        trades = [_trade(instrument, fill, sequence, index, direction, newer) for fill in fills[start:stop]]
        for cut in range(0, len(trades), MAX_TRADES_PER_FRAME):
            yield RecordedFrame(offset_ms, instrument, trades[cut : cut + MAX_TRADES_PER_FRAME], None, 1 + number % 3)
        if stop < len(fills):
            offset_ms += _pause_ms(fills[stop - 1], fills[stop])
        start = stop


def _pause_ms(before: _Fill, after: _Fill) -> int:
    pause_ms = after.traded_at - before.traded_at
    if before.source != after.source and pause_ms > MAX_PAUSE_MS:
        return SHORT_PAUSE_MS
    return pause_ms


def _trade(
    instrument: Instrument,
    fill: _Fill,
    sequence: int | None,
    index: FrameIndex,
    direction: TickDirection,
    newer: NewerFields,
) -> BybitTrade:
    return BybitTrade(
        trade_id=fill.trade_id,
        traded_at=fill.traded_at,
        price=fill.price,
        quantity=fill.quantity,
        side=fill.side,
        sequence=sequence,
        frame_index=index.next_index(fill.traded_at, sequence),
        tick_direction=direction.next_direction(Decimal(fill.price))
        if instrument.market_type is not MarketType.SPOT
        else None,
        is_rpi=False if newer.rpi else None,
    )
