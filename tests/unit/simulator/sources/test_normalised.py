"""Trades of any venue become Bybit frames with unchanged digits."""

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tapeline_simulator.bybit.frames import NewerFields
from tapeline_simulator.errors import CaptureRefused
from tapeline_simulator.sources import normalised

T = 1_750_507_467_356
YEAR_MS = 31_536_000_000


def row(trade_id: str, traded_at: int = T, **changes: object) -> dict[str, object]:
    fields = {"source": "a", "exchange": "binance", "market": "spot", "symbol": "LTCUSDT", "recv_ns": None}
    return {
        **fields,
        "ts_ms": traded_at,
        "price": 83.29,
        "qty": 0.107,
        "side": "buy",
        "trade_id": trade_id,
        **changes,
    }


def read(folder: Path, *rows: dict[str, object]):
    path = folder / "trades.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return normalised.read(path, NewerFields())


def frames(recording) -> list[dict[str, object]]:
    return [json.loads(item.frame().payload) for item in recording.items]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (83.29, "83.29"),
        (72.0, "72"),
        (1e-07, "0.0000001"),
        (1.5e-05, "0.000015"),
        (123456789012345.0, "123456789012345"),
        (1e16, "10000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("65114.20"), "65114.20"),
        (Decimal("1E-8"), "0.00000001"),
        ("83766.30", "83766.30"),
        (100, "100"),
    ],
)
def test_number_becomes_plain_text_with_the_digits_of_the_file(value, text):
    assert normalised.decimal_text(value) == text


def test_neighbours_of_one_millisecond_and_side_become_one_frame(tmp_path):
    rows = [row("1"), row("2", price=83.3), row("3", side="sell"), row("4", T + 1, side="sell")]
    sent = frames(read(tmp_path, *rows))
    assert [[fields["i"] for fields in frame["data"]] for frame in sent] == [["1", "2"], ["3"], ["4"]]
    assert [fields["S"] for frame in sent for fields in frame["data"]] == ["Buy", "Buy", "Sell", "Sell"]
    sequences = [{fields["seq"] for fields in frame["data"]} for frame in sent]
    assert all(len(one) == 1 for one in sequences) and sequences == sorted(sequences, key=min)
    assert all(1 <= frame["ts"] - frame["data"][0]["T"] <= 3 for frame in sent)


def test_order_of_more_than_1024_fills_is_split_with_one_sequence(tmp_path):
    recording = read(tmp_path, *(row(str(number)) for number in range(1500)))
    assert [len(item.trades) for item in recording.items] == [1024, 476]
    trades = [trade for item in recording.items for trade in item.trades]
    assert len({trade.sequence for trade in trades}) == 1
    assert [trade.frame_index for trade in trades] == list(range(1500))


def test_sources_of_different_years_start_together_and_keep_their_times(tmp_path):
    rows = [row("1"), row("2", T + 500), row("9", T + YEAR_MS, source="b", symbol="BTCUSDT", market="linear")]
    recording = read(tmp_path, *rows)
    assert [(item.instrument.market_type, item.offset_ms, item.trades[0].traded_at) for item in recording.items] == [
        ("spot", 0, T),
        ("linear", 0, T + YEAR_MS),
        ("spot", 500, T + 500),
    ]
    assert recording.items[1].trades[0].tick_direction == "PlusTick"


def test_symbol_of_two_sources_keeps_the_order_of_its_own_times(tmp_path):
    recording = read(tmp_path, row("9", T + YEAR_MS, source="b"), row("1"), row("2", T + 300))
    assert [(item.trades[0].trade_id, item.offset_ms) for item in recording.items] == [
        ("1", 0),
        ("2", 300),
        ("9", 1300),
    ]


def test_illegal_trade_id_is_replaced_by_a_stable_one(tmp_path):
    first, second = (read(tmp_path, row("a b"), row("")) for _ in range(2))
    trade_ids = [trade.trade_id for item in first.items for trade in item.trades]
    assert len(set(trade_ids)) == 2 and not {"a b", ""} & set(trade_ids)
    assert trade_ids == [trade.trade_id for item in second.items for trade in item.trades]


def test_an_exact_duplicate_is_skipped_and_counted(tmp_path):
    recording = read(tmp_path, row("1"), row("2"), row("1"))
    assert recording.duplicates == 1 and sum(len(item.trades) for item in recording.items) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": 0.0}, "price '0'"),
        ({"qty": -1.0}, "qty '-1'"),
        ({"price": float("nan")}, "price 'NaN'"),
        ({"side": "maker"}, "maker"),
        ({"traded_at": 1_750_507_467}, "ts_ms 1750507467"),
        ({"symbol": "L|T"}, "symbol"),
    ],
)
def test_row_that_is_no_trade_is_refused_with_its_number(tmp_path, changes, words):
    with pytest.raises(CaptureRefused, match=f"row 2 .*{words}"):
        read(tmp_path, row("1"), row("2", **changes))


def test_same_id_with_other_values_is_refused(tmp_path):
    with pytest.raises(CaptureRefused, match=r"row 2 .*other values"):
        read(tmp_path, row("1"), row("1", price=83.3))


def test_missing_column_is_named(tmp_path):
    path = tmp_path / "trades.parquet"
    pq.write_table(pa.table({"price": [1.0]}), path)
    with pytest.raises(CaptureRefused, match="trade_id"):
        normalised.read(path, NewerFields())


def test_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "trades.parquet"
    path.write_text("hello")
    with pytest.raises(CaptureRefused, match="parquet"):
        normalised.read(path, NewerFields())


def test_inverse_trades_stay_inverse(tmp_path):
    (item,) = read(tmp_path, row("1", market="inverse", symbol="BTCUSD", qty=100.0)).items
    assert str(item.instrument) == "bybit:inverse:BTCUSD" and item.trades[0].tick_direction == "PlusTick"
