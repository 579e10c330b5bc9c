"""Exports the trades in Elasticsearch to one Parquet file and one CSV file.

The Parquet file has every stored trade with all its columns, in no order, written page by page, and the known gaps
in its metadata. The CSV file has the newest trades in total order, with the next price of each, for people.
Both files are replaced atomically.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from pydantic import ValidationError
from tapeline import names
from tapeline.instrument import Instrument
from tapeline.model import labels
from tapeline.records.gap import Gap
from tapeline.service import files

from tapeline_trainer.data import dataset
from tapeline_trainer.data.source import GAPS_KEY
from tapeline_trainer.data.trade_table import NO_SEQUENCE, STORED_SCHEMA, TradeTable
from tapeline_trainer.errors import InvalidTrades, NoTradesStored

if TYPE_CHECKING:
    from tapeline_trainer.data.elasticsearch import Document, Store

PARQUET_NAME: Final = "trades.parquet"
CSV_NAME: Final = "trades.csv"
TRADES_PATTERN: Final = f"{names.INDEX_TRADES_PREFIX}*"
CSV_COLUMNS: Final = (
    *("price", "quantity", "symbol", "timestamp", "is_buy", "price_next", "target"),
    *("trade_id", "venue", "market_type", "sequence", "frame_index", "late"),
)
_CHUNK_ROWS: Final = 50_000


def to_parquet(
    store: "Store", path: Path, trades_index: str = TRADES_PATTERN, gaps_index: str = names.INDEX_GAPS
) -> int:
    """Write every stored trade to a Parquet file, and return how many.

    Memory holds one page. Gaps are read after the snapshot of the trades is taken, so no gap among the
    trades is missed.

    Raises:
        NoTradesStored: there is no trade.
        ExportIncomplete, ElasticsearchFailed: see elasticsearch.py.
        InvalidTrades: a stored document is no trade.
    """
    count = 0
    with (
        files.atomic_replacement(path) as temporary,
        pa.parquet.ParquetWriter(temporary, STORED_SCHEMA, compression="zstd") as writer,
    ):
        for page in store.snapshot(trades_index):
            writer.write_table(_page(page, trades_index))
            count += len(page)
        if not count:
            raise NoTradesStored(trades_index)
        gaps = [gap.model_dump() for gap in read_gaps(store, gaps_index)]
        writer.add_key_value_metadata({GAPS_KEY.decode(): json.dumps(gaps)})
    return count


def _page(documents: "list[Document]", where: str) -> pa.Table:
    try:
        return pa.Table.from_pylist(documents, schema=STORED_SCHEMA)
    except pa.ArrowException as error:
        raise InvalidTrades(where, "page of documents", str(error)[:300], "trades as stored") from error


def read_gaps(store: "Store", index: str = names.INDEX_GAPS) -> list[Gap]:
    """Return every gap record; none where the index does not exist yet.

    Raises:
        InvalidTrades: a document is no gap record.
    """
    documents = (document for page in store.snapshot(index) for document in page)
    try:
        return [Gap.model_validate(document) for document in documents]
    except ValidationError as error:
        raise InvalidTrades(index, "document", str(error)[:300], "a gap record") from error


def to_csv(trades: TradeTable, path: Path) -> int:
    """Write trades in total order, with the next price of the same symbol, and return the number of rows.

    `price_next` and `target` (1 where it is strictly higher) are empty where the next trade is
    unknown: at a symbol's end and at a gap. `late` is 1 for trades that arrived too late for the stream.
    """
    table = trades.table
    with files.atomic_replacement(path) as temporary, temporary.open("wb") as file:
        file.write((",".join(CSV_COLUMNS) + "\n").encode())
        options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
        for chunk in _csv_chunks(trades):
            pa.csv.write_csv(chunk, file, options)
    return int(table.num_rows)


def _csv_chunks(trades: TradeTable) -> Iterable[pa.Table]:
    table = trades.table
    columns = dataset.numeric_columns(table)
    segment = dataset.segments(table, columns.symbols, columns.symbol, trades.gaps)
    target = labels.next_trade_higher(columns.traded_at_ms, columns.price, segment).value
    for start in range(0, table.num_rows, _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, table.num_rows)
        following = np.minimum(np.arange(start, stop) + 1, table.num_rows - 1)
        price_next = table["price"].take(pa.array(following)).combine_chunks()
        yield _csv_table(table.slice(start, stop - start), price_next, target[start:stop])


def _csv_table(part: pa.Table, price_next: pa.Array, target: np.ndarray) -> pa.Table:
    absent = pa.array(target == labels.ABSENT)
    venue, market_type, symbol = _instrument_columns(part["key"].combine_chunks())
    time = pc.cast(pc.cast(part["traded_at"], pa.timestamp("ms")), pa.string())
    sequence = part["sequence"].combine_chunks()
    columns = {
        "price": part["price"],
        "quantity": part["quantity"],
        "symbol": symbol,
        "timestamp": pc.binary_join_element_wise(time, "+00:00", ""),
        "is_buy": pc.cast(part["is_buy"], pa.int8()),
        "price_next": pc.if_else(absent, pa.scalar(None, pa.string()), price_next),
        "target": pc.if_else(absent, pa.scalar(None, pa.int64()), pa.array(target)),
        "trade_id": part["trade_id"],
        "venue": venue,
        "market_type": market_type,
        "sequence": pc.if_else(pc.equal(sequence, NO_SEQUENCE), pa.scalar(None, pa.int64()), sequence),
        "frame_index": part["frame_index"],
        "late": pc.cast(part["late"], pa.int8()),
    }
    return pa.table({name: columns[name] for name in CSV_COLUMNS})


def _instrument_columns(keys: pa.DictionaryArray) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return venue, market type and symbol of each key, which is an instrument's text."""
    instruments = [Instrument.parse(key) for key in keys.dictionary.to_pylist()]
    parts = ([i.venue for i in instruments], [str(i.market_type) for i in instruments], [i.symbol for i in instruments])
    venue, market_type, symbol = (pa.array(texts, pa.string()).take(keys.indices) for texts in parts)
    return venue, market_type, symbol
