import csv
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tapeline_trainer.data import dataset, export, source
from tapeline_trainer.errors import InvalidTrades

from unit.trainer import factories

FIRST_DATA_SET_HEADER = ",price,quantity,symbol,timestamp,is_buy,price_next,target"
FIRST_DATA_SET_ROW = "24,139.51,0.103,AAVEUSDT,2025-04-12 09:43:35+00:00,0,139.51,0"
captures = pytest.mark.skipif("CAPTURES" not in os.environ, reason="CAPTURES names no recorded trades")


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_first_csv_is_accepted_with_a_warning_that_order_is_lost(tmp_path: Path) -> None:
    found = source.read(written(tmp_path / "t.csv", FIRST_DATA_SET_HEADER, FIRST_DATA_SET_ROW), 10)
    assert found.warnings == (source.ORDER_LOST, source.NO_IDS)
    row = found.table.to_pylist()[0]
    assert (row["key"], row["traded_at"], row["price"]) == ("AAVEUSDT", 1_744_451_015_000, "139.51")


def test_csv_with_milliseconds_and_ids_has_no_warning(tmp_path: Path) -> None:
    head = "symbol,timestamp,price,quantity,is_buy,trade_id"
    row = "A,2025-04-12 09:43:35.123+00:00,1.50,2,True,x1"
    found = source.read(written(tmp_path / "t.csv", head, row), 10)
    assert found.warnings == ()
    assert found.table.to_pylist()[0]["traded_at"] == 1_744_451_015_123


def test_trainers_own_csv_reads_back_as_the_trades_it_was_written_from(tmp_path: Path) -> None:
    documents = [*factories.market(40, 1), *factories.market(30, 2, symbol="ETHUSDT", prediction_state="late")]
    documents[3]["sequence"] = None
    trades = factories.trade_table_of(documents)
    export.to_csv(trades, tmp_path / "t.csv")
    assert source.read(tmp_path / "t.csv", 10**6).table.to_pylist() == trades.table.to_pylist()


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("t.csv", ("a,b", "1,2"), "columns"),
        (
            "t.csv",
            (FIRST_DATA_SET_HEADER, FIRST_DATA_SET_ROW.replace("139.51,0.1", "x,0.1")),
            "price of trade 0 .* was 'x'",
        ),
        ("t.csv", (FIRST_DATA_SET_HEADER, FIRST_DATA_SET_ROW.replace("2025-04-12", "yesterday")), "content"),
        ("t.csv", (FIRST_DATA_SET_HEADER, FIRST_DATA_SET_ROW.replace(",0,139", ",maybe,139")), "is_buy of trade 0"),
        ("t.csv", (FIRST_DATA_SET_HEADER, FIRST_DATA_SET_ROW + ",more,cells"), "content"),
        ("t.parquet", ("this is no parquet",), "content"),
    ],
)
def test_unreadable_file_is_refused_with_its_name_and_value(tmp_path, name, lines, message) -> None:
    with pytest.raises(InvalidTrades, match=message) as refused:
        source.read(written(tmp_path / name, *lines), 10)
    assert name in str(refused.value)


def test_parquet_of_other_columns_is_refused_with_their_names(tmp_path: Path) -> None:
    pq.write_table(pa.table({"when": [1], "how_much": [2.0]}), tmp_path / "t.parquet")
    with pytest.raises(InvalidTrades, match=r"columns.*'when', 'how_much'"):
        source.read(tmp_path / "t.parquet", 10)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrades, match="missing"):
        source.read(tmp_path / "none.parquet", 10)


@captures
@pytest.mark.captures
def test_order_of_the_first_csv_gives_its_own_next_prices() -> None:
    path = Path(os.environ["CAPTURES"]) / "seed" / "bybit_dataset_custom.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = source.read(path, 10**6).table.to_pylist()
    following = {}
    for row in reversed(found):
        row["price_next"] = following.get(row["key"])
        following[row["key"]] = row["price"]
    expected = {}
    for row in rows:
        expected.setdefault(row["symbol"], []).append(float(row["price_next"]))
    own = {}
    for row in found:
        own.setdefault(row["key"], []).append(row["price_next"])
    agree = [
        float(mine) == theirs
        for symbol, prices in expected.items()
        for mine, theirs in zip(own[symbol], prices, strict=True)
        if mine is not None
    ]
    assert len(agree) == 4922 - 69 and sum(agree) / len(agree) > 0.99


@captures
@pytest.mark.captures
def test_archived_trades_are_accepted_whole() -> None:
    trades = source.read(Path(os.environ["CAPTURES"]) / "trades" / "real_trades.parquet", 10**6)
    data = dataset.build(trades, 10**6)
    assert (trades.table.num_rows, trades.duplicates, len(data.symbols)) == (74_849, 0, 9)
    assert data.counts["rows"] > 70_000
