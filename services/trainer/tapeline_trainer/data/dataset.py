"""Builds the data set from trades: features, labels, and counts of the rows that were left out.

Pure. Features are computed over a symbol's trades as the stream computes them, across gaps, so a row here equals the
row that was served. Labels stop at gaps: what happened inside one is unknown.
Late trades have no row and are in no lookback, as in the stream; they do count as the next trade of a label.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tapeline.model import features, labels
from tapeline.model.features import Bools, Floats, Ints, TradeColumns
from tapeline.records.gap import Gap, separated_rows

from tapeline_trainer.data.trade_table import TradeTable

Singles = npt.NDArray[np.float32]
_CHUNK_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled rows of every symbol, in the order of the trade table.

    Attributes:
        symbols: keys, sorted.
        symbol: (n,) int64, number of the row's symbol.
        traded_at_ms: (n,) int64, ms UTC.
        known_at_ms: (n,) int64, when the label was known, ms UTC.
        x: (n, k) float32, features.FEATURE_NAMES.
        y: (n,) int64, 1 where the next different price is higher.
        next_trade: (n,) int64, 1 where the very next trade is higher, labels.ABSENT where unknown.
        is_buy: (n,) bool.
        counts: trades by what became of them.
        zero_tick_share: share of next trades that repeat the price, over all trades.
        data_digest: sha256 over the ordered keys, ids, times and prices of all trades.
    """

    symbols: tuple[str, ...]
    symbol: Ints
    traded_at_ms: Ints
    known_at_ms: Ints
    x: Singles
    y: Ints
    next_trade: Ints
    is_buy: Bools
    counts: dict[str, int]
    zero_tick_share: float
    data_digest: str


@dataclass(frozen=True, slots=True)
class NumericColumns:
    """A trade table as numbers; see trade_table.SCHEMA and features.TradeColumns for meaning and units."""

    symbols: tuple[str, ...]
    symbol: Ints
    traded_at_ms: Ints
    price: Floats
    quantity: Floats
    is_buy: Bools
    late: Bools


def build(trades: TradeTable, maximum_rows: int) -> Dataset:
    """Return the newest labelled rows of a trade table.

    Args:
        trades: in total order.
        maximum_rows: how many labelled rows are kept, the newest.
    """
    columns = numeric_columns(trades.table)
    segment = segments(trades.table, columns.symbols, columns.symbol, trades.gaps)
    label = labels.next_different_price(columns.traded_at_ms, columns.price, segment)
    next_trade = labels.next_trade_higher(columns.traded_at_ms, columns.price, segment)
    labelled = (label.value != labels.ABSENT) & ~columns.late
    rows = _newest(np.flatnonzero(labelled), columns.traded_at_ms, maximum_rows)
    x, state = _features(columns, rows)
    kept = rows[state == _USABLE]
    counts = {
        "trades": len(columns.price),
        "duplicates": trades.duplicates,
        "older_than_limit": trades.left_out + int(labelled.sum()) - len(rows),
        "late": int(columns.late.sum()),
        "unlabelled": int((~labelled & ~columns.late).sum()),
        "warming_up": int((state == _WARMING_UP).sum()),
        "invalid_features": int((state == _INVALID).sum()),
        "gaps": len(trades.gaps),
        "segments": int(segment[-1]) + 1 if len(segment) else 0,
        "rows": len(kept),
    }
    return Dataset(
        symbols=columns.symbols,
        symbol=columns.symbol[kept],
        traded_at_ms=columns.traded_at_ms[kept],
        known_at_ms=label.known_at_ms[kept],
        x=x[state == _USABLE],
        y=label.value[kept],
        next_trade=next_trade.value[kept],
        is_buy=columns.is_buy[kept],
        counts=counts,
        zero_tick_share=_zero_tick_share(columns.price, segment),
        data_digest=digest(trades.table),
    )


def numeric_columns(table: pa.Table) -> NumericColumns:
    """Return the columns of a trade table as numbers, decimal text correctly rounded to float64."""
    keys = table["key"].combine_chunks()
    symbols = tuple(sorted(pc.unique(keys.dictionary).to_pylist()))
    number_of = np.array([symbols.index(key) for key in keys.dictionary.to_pylist()], dtype=np.int64)
    return NumericColumns(
        symbols=symbols,
        symbol=number_of[keys.indices.to_numpy()] if len(keys) else np.empty(0, dtype=np.int64),
        traded_at_ms=table["traded_at"].to_numpy(),
        price=pc.cast(table["price"], pa.float64()).to_numpy(),
        quantity=pc.cast(table["quantity"], pa.float64()).to_numpy(),
        is_buy=table["is_buy"].to_numpy(),
        late=table["late"].to_numpy(),
    )


def segments(table: pa.Table, symbols: tuple[str, ...], symbol: Ints, gaps: tuple[Gap, ...]) -> Ints:
    """Return (n,) int64, equal for rows of one symbol with no gap between them.

    Between the two ends of a gap anything may be missing, so every trade found there (late or backfilled) is its own
    segment. Where an end trade is not in the table, time locates both ends, widely: one label too few is better than
    one across a gap.
    """
    breaks = np.zeros(len(symbol), dtype=bool)
    breaks[1:] = symbol[1:] != symbol[:-1]
    number_of = {key: number for number, key in enumerate(symbols)}
    for gap in gaps:
        number = number_of.get(str(gap.instrument))
        if number is None:
            continue
        start, stop = (int(edge) for edge in np.searchsorted(symbol, [number, number + 1]))
        part = table.slice(start, stop - start)
        ends = (_row_of(part["trade_id"], trade_id) for trade_id in (gap.from_trade_id, gap.to_trade_id))
        rows = separated_rows(gap, part["traded_at"].to_numpy(), *ends)
        breaks[start + rows.start : start + rows.stop] = True
    # A gap before the first trade separates nothing.
    breaks[:1] = False
    return np.cumsum(breaks).astype(np.int64)


def _row_of(ids: pa.ChunkedArray, trade_id: str | None) -> int | None:
    row: int = -1 if trade_id is None else pc.index(ids, trade_id).as_py()
    return row if row >= 0 else None


def _newest(rows: Ints, times: Ints, maximum: int) -> Ints:
    if len(rows) <= maximum:
        return rows
    newest = np.argsort(times[rows], kind="stable")[len(rows) - maximum :]
    return np.sort(rows[newest])


_USABLE: Final = 0
_WARMING_UP: Final = 1
_INVALID: Final = 2


def _features(columns: NumericColumns, rows: Ints) -> tuple[Singles, Ints]:
    """Features of some rows as the forest sees them, and the state of each row."""
    on_time = np.flatnonzero(~columns.late)
    symbol = columns.symbol[on_time]
    trades = TradeColumns(
        traded_at_ms=columns.traded_at_ms[on_time],
        price=columns.price[on_time],
        quantity=columns.quantity[on_time],
        is_buy=columns.is_buy[on_time],
        group_start=np.searchsorted(symbol, symbol, side="left").astype(np.int64),
    )
    positions = np.searchsorted(on_time, rows)
    x = np.empty((len(rows), len(features.FEATURE_NAMES)), dtype=np.float32)
    state = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        matrix, enough = features.compute(trades, positions[chunk])
        # Not finite, or beyond float32, which a forest compares; nan fails the comparison too.
        finite = np.all(np.abs(matrix) <= np.finfo(np.float32).max, axis=1)
        x[chunk] = np.where(finite.reshape(-1, 1), matrix, 0.0)
        state[chunk] = np.where(enough, np.where(finite, _USABLE, _INVALID), _WARMING_UP)
    return x, state


def _zero_tick_share(price: Floats, segment: Ints) -> float:
    same_segment = segment[1:] == segment[:-1]
    return float((price[1:] == price[:-1])[same_segment].mean()) if same_segment.any() else 0.0


def digest(table: pa.Table) -> str:
    """Return sha256, in hex, over the ordered keys, ids, times and price digits of a trade table."""
    hasher = hashlib.sha256()
    for start in range(0, table.num_rows, _CHUNK_ROWS):
        part = table.slice(start, _CHUNK_ROWS)
        columns = [
            pc.cast(part["key"], pa.string()),
            pc.fill_null(part["trade_id"], ""),
            pc.cast(part["traded_at"], pa.string()),
            part["price"],
        ]
        lines = pc.binary_join_element_wise(*columns, "|").to_pylist()
        hasher.update(("\n".join(lines) + "\n").encode())
    return hasher.hexdigest()
