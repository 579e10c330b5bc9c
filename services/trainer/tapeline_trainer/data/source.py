"""Reads files of trades.

Three layouts are supported: the trainer's own Parquet export, archived trades in Parquet
(source, exchange, market, symbol, ts_ms, price, qty, side, trade_id), and CSV with at least the
columns of the first data set, `price,quantity,symbol,timestamp,is_buy`.
To accept another: add its columns to `_read`, and its function to trade_table.py.
"""

import json
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import ValidationError
from tapeline.records.gap import Gap

from tapeline_trainer.data import trade_table
from tapeline_trainer.errors import InvalidTrades

GAPS_KEY: Final = b"tapeline.gaps"
"""Metadata of the Parquet export: the gaps known when it was written, a JSON array."""
_NORMALISED: Final = {"source", "exchange", "market", "symbol", "ts_ms", "price", "qty", "side", "trade_id"}
_CSV: Final = {"symbol", "timestamp", "price", "quantity", "is_buy"}
_RULE: Final = "the trainer's own export, archived trades or a CSV with " + ", ".join(sorted(_CSV))
ORDER_LOST: Final = (
    "The file holds no order inside a second (no milliseconds, no sequence, no ids): the order of its rows "
    "is used. Where that is not the exchange's order, up to 40 % of labels are wrong."
)
NO_IDS: Final = "The file holds no trade ids: repeated trades cannot be distinguished from equal ones."


def read(path: Path, maximum_trades: int) -> trade_table.TradeTable:
    """Return the newest trades of a file, in total order.

    Args:
        path: .parquet or .csv.
        maximum_trades: how many of the newest are kept.

    Raises:
        InvalidTrades: the file is missing, of another layout, or holds a value that no trade has.
    """
    if not path.is_file():
        raise InvalidTrades(str(path), "file", "missing", "there")
    try:
        table, gaps, warnings = _read(path)
    except pa.ArrowException as error:
        raise InvalidTrades(str(path), "content", str(error)[:300], _RULE) from error
    trade_table.check(table, str(path))
    return trade_table.assemble(table, gaps, maximum_trades, warnings)


def _read(path: Path) -> tuple[pa.Table, tuple[Gap, ...], tuple[str, ...]]:
    if path.suffix == ".csv":
        return _read_csv(path)
    schema = pa.parquet.read_schema(path)
    if set(trade_table.STORED_SCHEMA.names) <= set(schema.names):
        stored = pa.parquet.read_table(path, columns=trade_table.STORED_COLUMNS)
        # Metadata of the file, not of the schema: only the file has what the writer adds while closing.
        return trade_table.from_stored(stored), _gaps(path, pa.parquet.read_metadata(path).metadata or {}), ()
    if set(schema.names) >= _NORMALISED:
        table = pa.parquet.read_table(path, columns=sorted(_NORMALISED))
        return trade_table.from_normalised(table), (), ()
    raise InvalidTrades(str(path), "columns", schema.names, _RULE)


def _read_csv(path: Path) -> tuple[pa.Table, tuple[Gap, ...], tuple[str, ...]]:
    with path.open(encoding="utf-8") as file:
        header = file.readline().rstrip("\r\n").split(",")
    if not set(header) >= _CSV:
        raise InvalidTrades(str(path), "columns", header, _RULE)
    # Everything is read as text: a price converted to float and back is another price.
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, null_values=[]
    )
    table = trade_table.from_csv(pa.csv.read_csv(path, convert_options=convert))
    warnings = () if "sequence" in header or _has_milliseconds(table) else (ORDER_LOST,)
    return table, (), warnings + (() if "trade_id" in header else (NO_IDS,))


def _has_milliseconds(table: pa.Table) -> bool:
    return bool((table["traded_at"].to_numpy() % 1000).any())


def _gaps(path: Path, metadata: dict[bytes, bytes]) -> tuple[Gap, ...]:
    try:
        return tuple(Gap.model_validate(gap) for gap in json.loads(metadata.get(GAPS_KEY, b"[]")))
    except (ValidationError, ValueError) as error:
        raise InvalidTrades(str(path), "gap records", str(error)[:300], "gap records as exported") from error
