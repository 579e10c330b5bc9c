import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tapeline.instrument import Instrument
from tapeline_trainer.data import export, source
from tapeline_trainer.errors import InvalidTrades, NoTradesStored

from unit.trainer import factories


def cells(tmp_path: Path, documents, *gaps) -> list[dict[str, str]]:
    path = tmp_path / "t.csv"
    export.to_csv(factories.trade_table_of(documents, *gaps), path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_starts_with_the_columns_of_the_first_data_set(tmp_path: Path) -> None:
    export.to_csv(factories.trade_table_of([factories.document()]), tmp_path / "t.csv")
    head = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert head.startswith("price,quantity,symbol,timestamp,is_buy,price_next,target,trade_id")


def test_csv_row_by_hand(tmp_path: Path) -> None:
    first = factories.document(
        traded_at=1_744_451_015_007, price="139.5100", quantity="0.10", side="Sell", sequence=None
    )
    second = factories.document(traded_at=1_744_451_015_008, price="139.52", prediction_state="late")
    row, last = cells(tmp_path, [second, first])
    assert row["timestamp"] == "2025-04-12 09:43:35.007+00:00"
    assert (row["price"], row["quantity"], row["symbol"], row["is_buy"]) == ("139.5100", "0.10", "BTCUSDT", "0")
    assert (row["price_next"], row["target"], row["trade_id"]) == ("139.52", "1", first["trade_id"])
    assert (row["sequence"], row["late"], last["late"]) == ("", "0", "1")
    assert (last["price_next"], last["target"]) == ("", "")


def test_csv_says_nothing_about_the_next_price_across_a_gap_or_a_symbol(tmp_path: Path) -> None:
    documents = [*factories.market(4, 1), *factories.market(2, 2, symbol="ETHUSDT")]
    rows = cells(tmp_path, documents, factories.gap(documents[1], documents[2]))
    assert [row["target"] == "" for row in rows] == [False, True, False, True, False, True]


def test_target_is_one_only_where_the_next_price_is_strictly_higher(tmp_path: Path) -> None:
    rows = cells(tmp_path, [factories.document(price=price) for price in ("1", "1", "2", "1.5")])
    assert [row["target"] for row in rows] == ["0", "1", "0", ""]


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC:USDT", "BTC/USDT:USDT"])
def test_csv_keeps_the_parts_of_an_instrument_whatever_signs_its_symbol_has(tmp_path: Path, symbol: str) -> None:
    documents = factories.market(3, 3, venue="other-1", market_type="inverse", symbol=symbol)
    rows = cells(tmp_path, documents)
    assert {(row["venue"], row["market_type"], row["symbol"]) for row in rows} == {("other-1", "inverse", symbol)}
    read = source.read(tmp_path / "t.csv", 10)
    assert set(read.table["key"].to_pylist()) == {str(Instrument.parse(f"other-1:inverse:{symbol}"))}


def test_gap_documents_with_fields_of_a_newer_writer_are_read() -> None:
    gap = factories.gap(factories.document(), factories.document())
    stored = {"@timestamp": factories.START_MS, "added_later": 1, **gap.model_dump()}
    assert export.read_gaps(Stored(gaps=[stored]), "gaps") == [gap]


class Stored:
    """A store of documents by index, two a page."""

    def __init__(self, **documents: list[dict[str, Any]]) -> None:
        self._documents = documents

    def snapshot(self, index: str) -> Iterator[list[dict[str, Any]]]:
        documents = self._documents[index]
        yield from (documents[start : start + 2] for start in range(0, len(documents), 2))


def test_exported_trades_and_gaps_read_back_as_they_were_stored(tmp_path: Path) -> None:
    documents = factories.market(5, 1)
    gap = factories.gap(documents[1], documents[2])
    store = Stored(trades=documents, gaps=[{"@timestamp": 1, **gap.model_dump()}])
    assert export.to_parquet(store, tmp_path / "t.parquet", "trades", "gaps") == 5
    read = source.read(tmp_path / "t.parquet", 10)
    assert read.gaps == (gap,)
    assert read.warnings == ()
    assert read.table.to_pylist() == factories.trade_table_of(documents).table.to_pylist()


def test_an_export_of_nothing_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoTradesStored, match="trades"):
        export.to_parquet(Stored(trades=[], gaps=[]), tmp_path / "t.parquet", "trades", "gaps")
    assert list(tmp_path.iterdir()) == []


def test_gap_records_of_a_file_that_are_none_are_refused(tmp_path: Path) -> None:
    export.to_parquet(Stored(trades=factories.market(1, 1), gaps=[]), tmp_path / "t.parquet", "trades", "gaps")
    table = pq.read_table(tmp_path / "t.parquet")
    pq.write_table(table.replace_schema_metadata({source.GAPS_KEY: b'[{"venue":"bybit"}]'}), tmp_path / "u.parquet")
    with pytest.raises(InvalidTrades, match="gap records"):
        source.read(tmp_path / "u.parquet", 10)
