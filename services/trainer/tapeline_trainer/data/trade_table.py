"""Trade table: trades of every source in one table, in total order.

Pure: arrow tables in, arrow tables out. source.py reads files, export.py reads Elasticsearch.
The key of a trade is its instrument's text (`bybit:spot:BTCUSDT`), so two venues never share a lookback. Where a source
names no venue, the key is what the source does name; in an archive the key ends in a space and the archive's source.
To accept another layout: add a function here that returns SCHEMA's columns, and name it in source.py.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tapeline import trade
from tapeline.enums import PredictionState, Side
from tapeline.records.gap import Gap

from tapeline_trainer.errors import InvalidTrades

SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("trade_id", pa.string()),
        pa.field("traded_at", pa.int64(), nullable=False),
        pa.field("price", pa.string(), nullable=False),
        pa.field("quantity", pa.string(), nullable=False),
        pa.field("is_buy", pa.bool_(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("frame_index", pa.int64(), nullable=False),
        pa.field("late", pa.bool_(), nullable=False),
    ]
)
ORDER: Final = ("key", "traded_at", "sequence", "frame_index", "trade_id")
NO_SEQUENCE: Final = -1
_NUMBER: Final = r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$"
_NOT_ZERO: Final = r"^[0-9.]*[1-9]"
_ARROW: Final = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
}
STORED_SCHEMA: Final = pa.schema([pa.field(c.name, _ARROW[c.kind.spark], nullable=c.nullable) for c in trade.COLUMNS])
"""A stored trade as the export writes it: decimal text stays text."""

STORED_COLUMNS: Final = [
    "venue",
    "market_type",
    "symbol",
    "trade_id",
    "traded_at",
    "price",
    "base_quantity",
    "side",
    "sequence",
    "frame_index",
    "prediction_state",
]


@dataclass(frozen=True, slots=True)
class TradeTable:
    """Trades in total order, each symbol's side by side, and counts of what was left out.

    Attributes:
        table: columns of SCHEMA.
        gaps: known gaps of the feed.
        duplicates: rows that repeated an identity and were left out.
        left_out: oldest trades that exceeded the limit of rows in memory.
        warnings: about the source, for the report.
    """

    table: pa.Table
    gaps: tuple[Gap, ...]
    duplicates: int
    left_out: int
    warnings: tuple[str, ...]


def from_stored(stored: pa.Table) -> pa.Table:
    """Return the columns of SCHEMA of stored trades (STORED_SCHEMA)."""
    return _table(
        key=_join_key(*(stored[name] for name in ("venue", "market_type", "symbol"))),
        trade_id=stored["trade_id"],
        traded_at=stored["traded_at"],
        price=stored["price"],
        quantity=stored["base_quantity"],
        is_buy=pc.equal(stored["side"], Side.BUY),
        sequence=stored["sequence"],
        frame_index=stored["frame_index"],
        late=pc.equal(stored["prediction_state"], PredictionState.LATE),
    )


def from_normalised(table: pa.Table) -> pa.Table:
    """Return the columns of SCHEMA of archived trades.

    Their columns are source, exchange, market, symbol, ts_ms, price, qty, side, trade_id. Order inside a
    millisecond is the order of the rows.
    """
    # Archives come with 64-bit string offsets, which arrow does not join with the usual ones.
    text = {name: pc.cast(table[name], pa.string()) for name in table.column_names}
    instrument = _join_key(*(text[name] for name in ("exchange", "market", "symbol")))
    return _table(
        # No symbol holds a space, so no source shares the key of another or of a stored trade.
        key=pc.binary_join_element_wise(instrument, text["source"], " "),
        trade_id=text["trade_id"],
        traded_at=table["ts_ms"],
        price=text["price"],
        quantity=text["qty"],
        is_buy=_flag(text["side"], ("buy",), ("sell",)),
        sequence=None,
        frame_index=None,
        late=None,
    )


def from_csv(table: pa.Table) -> pa.Table:
    """Return the columns of SCHEMA of a CSV, every cell text: the trainer's own, or the first data set.

    The first data set has no venue, no id and no order inside a second; its rows are taken in file order.
    """
    has = set(table.column_names)
    where = [table[name] for name in ("venue", "market_type", "symbol") if name in has]
    stamp = pc.replace_substring_regex(table["timestamp"], r"(\+00:00|Z)$", "")
    return _table(
        key=_join_key(*where),
        trade_id=table["trade_id"] if "trade_id" in has else None,
        traded_at=pc.cast(pc.cast(stamp, pa.timestamp("ms")), pa.int64()),
        price=table["price"],
        quantity=table["quantity"],
        is_buy=_flag(table["is_buy"], ("1", "1.0", "true"), ("0", "0.0", "false")),
        sequence=pc.cast(_empty_as_null(table["sequence"]), pa.int64()) if "sequence" in has else None,
        frame_index=pc.cast(table["frame_index"], pa.int64()) if "frame_index" in has else None,
        late=pc.equal(table["late"], "1") if "late" in has else None,
    )


def _join_key(*parts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the text that Instrument.parse splits."""
    return pc.binary_join_element_wise(*parts, ":")


def _empty_as_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _flag(text: pa.ChunkedArray, true: tuple[str, ...], false: tuple[str, ...]) -> pa.ChunkedArray:
    """Return bools, null where the text is neither."""
    lower = pc.utf8_lower(text)
    known = pc.is_in(lower, value_set=pa.array([*true, *false]))
    return pc.if_else(known, pc.is_in(lower, value_set=pa.array(true)), pa.scalar(None, pa.bool_()))


def _table(**columns: pa.ChunkedArray | None) -> pa.Table:
    given = {name: column for name, column in columns.items() if column is not None}
    count = len(given["key"])
    given["key"] = pc.dictionary_encode(given["key"])
    given["sequence"] = (
        pc.fill_null(given["sequence"], NO_SEQUENCE) if "sequence" in given else pa.array(np.full(count, NO_SEQUENCE))
    )
    given.setdefault("frame_index", pa.array(np.arange(count)))
    given.setdefault("late", pa.array(np.zeros(count, dtype=bool)))
    given.setdefault("trade_id", pa.nulls(count, pa.string()))
    return pa.table({name: given[name] for name in SCHEMA.names}).cast(_unchecked(SCHEMA)).unify_dictionaries()


def _unchecked(schema: pa.Schema) -> pa.Schema:
    # `check` looks for nulls and names the row; arrow's own message does not.
    return pa.schema([field.with_nullable(True) for field in schema])


def check(table: pa.Table, where: str) -> None:
    """Check that every row is a trade.

    Raises:
        InvalidTrades: the first value that is not, with its row.
    """
    for field in SCHEMA:
        if not field.nullable and table[field.name].null_count:
            row = int(np.flatnonzero(table[field.name].is_null().to_numpy())[0])
            raise InvalidTrades(where, f"{field.name} of trade {row}", None, "present")
    for name in ("price", "quantity"):
        text = table[name]
        good = pc.and_(pc.match_substring_regex(text, _NUMBER), pc.match_substring_regex(text, _NOT_ZERO)).to_numpy()
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise InvalidTrades(where, f"{name} of trade {row}", table[name][row].as_py(), "a positive decimal number")
    times = table["traded_at"].to_numpy()
    wrong = np.flatnonzero((times < trade.EARLIEST_MS) | (times > trade.LATEST_MS))
    if len(wrong):
        rule = f"milliseconds UTC from {trade.EARLIEST_MS} to {trade.LATEST_MS}"
        raise InvalidTrades(where, f"time of trade {wrong[0]}", int(times[wrong[0]]), rule)


def assemble(table: pa.Table, gaps: tuple[Gap, ...], maximum_trades: int, warnings: tuple[str, ...] = ()) -> TradeTable:
    """Return the newest trades in total order, each identity once.

    Args:
        table: columns of SCHEMA, checked, in any order.
        gaps: known gaps.
        maximum_trades: how many of the newest are kept.
        warnings: passed on to the report.
    """
    newest = _newest(table, maximum_trades)
    left_out = table.num_rows - newest.num_rows
    ordered = newest.take(_order(newest))
    first = _first_of_identity(ordered)
    kept = ordered if first.all() else ordered.filter(pa.array(first))
    return TradeTable(kept.combine_chunks(), gaps, ordered.num_rows - kept.num_rows, left_out, warnings)


def _newest(table: pa.Table, maximum: int) -> pa.Table:
    if table.num_rows <= maximum:
        return table
    times = table["traded_at"].to_numpy()
    oldest = np.partition(times, table.num_rows - maximum)[table.num_rows - maximum]
    # Strictly later than the boundary: a millisecond is kept whole or not at all.
    return table.filter(pa.array(times > oldest))


def _order(table: pa.Table) -> pa.Array:
    by_text = table.set_column(0, "key", pc.cast(table["key"], pa.string()))
    return pc.sort_indices(by_text, sort_keys=[(name, "ascending") for name in ORDER])


def _first_of_identity(table: pa.Table) -> np.ndarray:
    """Return (n,) bool, False where an earlier row has the same key and trade id."""
    ids = table["trade_id"]
    first = np.ones(table.num_rows, dtype=bool)
    if ids.null_count:
        return first
    # One string a row, which arrow numbers; the first row of each number is kept.
    identity = pc.binary_join_element_wise(pc.cast(table["key"], pa.string()), ids, "|")
    numbers = pc.dictionary_encode(identity).combine_chunks().indices.to_numpy()
    first[:] = False
    first[np.unique(numbers, return_index=True)[1]] = True
    return first
