import random

import pyarrow as pa
import pytest
from tapeline_trainer.data import trade_table
from tapeline_trainer.errors import InvalidTrades

from unit.trainer import factories


def ids(found: trade_table.TradeTable) -> list[str]:
    return found.table["trade_id"].to_pylist()


def test_trades_in_any_order_come_out_by_symbol_time_sequence_and_frame_index() -> None:
    at = factories.START_MS
    expected = [
        factories.document(symbol="A", traded_at=at + 5, sequence=None, frame_index=1),
        factories.document(symbol="A", traded_at=at + 5, sequence=7, frame_index=0),
        factories.document(symbol="A", traded_at=at + 5, sequence=7, frame_index=2),
        factories.document(symbol="A", traded_at=at + 5, sequence=11, frame_index=0),
        factories.document(symbol="A", traded_at=at + 9, sequence=1, frame_index=0),
        factories.document(symbol="B", traded_at=at, sequence=1, frame_index=0),
    ]
    # Ids that descend: the order must not come from them.
    expected = [{**document, "trade_id": f"id{9 - place}"} for place, document in enumerate(expected)]
    shuffled = random.Random(1).sample(expected, len(expected))
    assert ids(factories.trade_table_of(shuffled)) == [document["trade_id"] for document in expected]


def test_same_symbol_of_two_market_types_is_two_symbols() -> None:
    found = factories.trade_table_of([factories.document(market_type="spot"), factories.document(market_type="linear")])
    assert found.table["key"].to_pylist() == ["bybit:linear:BTCUSDT", "bybit:spot:BTCUSDT"]


def test_repeated_identity_is_kept_once_and_counted() -> None:
    trade = factories.document()
    again = {**trade, "received_at": trade["received_at"] + 1}
    elsewhere = {**trade, "market_type": "linear"}
    found = factories.trade_table_of([trade, again, elsewhere])
    assert (len(ids(found)), found.duplicates) == (2, 1)


def test_newest_trades_are_kept_and_the_others_counted() -> None:
    documents = [factories.document(traded_at=factories.START_MS + i) for i in range(10)]
    found = factories.trade_table_of(random.Random(2).sample(documents, 10), maximum_trades=4)
    assert set(ids(found)) <= {document["trade_id"] for document in documents[6:]}
    assert found.left_out == 10 - len(ids(found))


def test_digits_of_the_exchange_stay_as_they_were() -> None:
    found = factories.trade_table_of([factories.document(price="0.00000010", quantity="100000.000000000000000001")])
    row = found.table.to_pylist()[0]
    assert (row["price"], row["quantity"]) == ("0.00000010", "100000.000000000000000001")


@pytest.mark.parametrize("price", ["", "0", "0.000", "-1", "nan", "inf", "1.2.3", "abc", "1,5"])
def test_price_that_is_no_positive_number_is_refused_by_name(price: str) -> None:
    document = {**factories.document(), "price": price}
    with pytest.raises(InvalidTrades, match="price of trade 1"):
        trade_table.check(factories.table_of([factories.document(), document]), "file")


@pytest.mark.parametrize("time", [1_790_000_000, 1_790_000_000_000_000])
def test_time_in_another_unit_than_milliseconds_is_refused(time: int) -> None:
    with pytest.raises(InvalidTrades, match="milliseconds"):
        trade_table.check(factories.table_of([{**factories.document(), "traded_at": time}]), "file")


def test_price_in_scientific_notation_of_an_archive_is_accepted() -> None:
    trade_table.check(factories.table_of([{**factories.document(), "price": "1.5e-7"}]), "file")


def test_side_that_is_neither_is_refused() -> None:
    columns = {name: ["x"] for name in ("source", "exchange", "market", "symbol", "trade_id")}
    numbers = {"ts_ms": [factories.START_MS], "price": [1.0], "qty": [2.0], "side": ["hold"]}
    with pytest.raises(InvalidTrades, match="is_buy of trade 0"):
        trade_table.check(trade_table.from_normalised(pa.table(columns | numbers)), "file")


def test_sources_of_an_archive_never_share_a_symbol() -> None:
    columns = {
        "source": ["one", "two"],
        **{name: ["x", "x"] for name in ("exchange", "market", "symbol")},
        "trade_id": ["1", "1"],
        "ts_ms": [factories.START_MS] * 2,
        "price": [1.0, 1.0],
        "qty": [2.0, 2.0],
        "side": ["buy", "SELL"],
    }
    found = trade_table.assemble(trade_table.from_normalised(pa.table(columns)), (), 10)
    assert found.table["key"].to_pylist() == ["x:x:x one", "x:x:x two"]
    assert found.table["is_buy"].to_pylist() == [True, False]
