import random

import numpy as np
import pytest
from tapeline.model import features, labels
from tapeline.model.features import TradeColumns
from tapeline_trainer.data import dataset

from unit.trainer import factories


def rows_of(documents, *gaps, maximum_rows=10**9) -> dataset.Dataset:
    return dataset.build(factories.trade_table_of(documents, *gaps), maximum_rows)


def segments_of(documents, *gaps) -> list[int]:
    trades = factories.trade_table_of(documents, *gaps)
    columns = dataset.numeric_columns(trades.table)
    return dataset.segments(trades.table, columns.symbols, columns.symbol, trades.gaps).tolist()


def test_rows_do_not_depend_on_the_order_in_which_trades_were_read() -> None:
    documents = [*factories.market(200, 1), *factories.market(150, 2, symbol="ETHUSDT")]
    one, other = rows_of(documents), rows_of(random.Random(3).sample(documents, 350))
    assert one.x.tobytes() == other.x.tobytes()
    assert (one.y.tolist(), one.data_digest) == (other.y.tolist(), other.data_digest)


def test_features_of_a_row_are_those_of_the_library_as_float32() -> None:
    documents = factories.market(120, 4)
    found = rows_of(documents)
    trades = TradeColumns(
        np.array([d["traded_at"] for d in documents]),
        np.array([float(d["price"]) for d in documents]),
        np.array([float(d["quantity"]) for d in documents]),
        np.array([d["side"] == "Buy" for d in documents]),
        np.zeros(120, dtype=np.int64),
    )
    matrix, enough = features.compute(trades, np.arange(120))
    label = labels.next_different_price(trades.traded_at_ms, trades.price, np.zeros(120, dtype=np.int64))
    kept = enough & (label.value != labels.ABSENT)
    assert np.array_equal(found.x, matrix[kept].astype(np.float32))
    assert found.y.tolist() == label.value[kept].tolist()


def test_every_trade_is_either_a_row_or_counted_with_its_reason() -> None:
    documents = [*factories.market(200, 5), *factories.market(90, 6, symbol="ETHUSDT", prediction_state="late")]
    counts = rows_of(documents).counts
    left_out = sum(counts[name] for name in ("late", "unlabelled", "warming_up", "invalid_features"))
    assert counts["trades"] == 290 == counts["rows"] + left_out
    assert counts["late"] == 90 and counts["warming_up"] == 19


def test_late_trade_changes_no_feature_but_is_seen_as_what_came_next() -> None:
    documents = factories.market(60, 7)
    late = {**documents[40], "trade_id": "late", "frame_index": 1, "prediction_state": "late"}
    late["price"] = "1.00"
    without, with_late = rows_of(documents), rows_of([*documents, late])
    assert with_late.x.tobytes() == without.x.tobytes()
    row = with_late.traded_at_ms.tolist().index(documents[40]["traded_at"])
    assert with_late.y[row] == 0


def test_newest_rows_are_kept_with_the_features_of_their_whole_past() -> None:
    documents = factories.market(300, 8)
    everything, newest = rows_of(documents), rows_of(documents, maximum_rows=50)
    assert newest.x.tobytes() == everything.x[-50:].tobytes()
    assert newest.counts["older_than_limit"] > 0


def test_gap_between_two_trades_breaks_exactly_there() -> None:
    documents = factories.market(6, 9)
    assert segments_of(documents) == [0] * 6
    assert segments_of(documents, factories.gap(documents[2], documents[3])) == [0, 0, 0, 1, 1, 1]


def test_trades_found_inside_a_gap_stand_alone() -> None:
    documents = factories.market(6, 10)
    assert segments_of(documents, factories.gap(documents[1], documents[4])) == [0, 0, 1, 2, 3, 3]


def test_gap_known_by_time_only_parts_the_trades_at_its_ends_from_all_neighbours() -> None:
    documents = [factories.document(traded_at=factories.START_MS + 10 * i) for i in range(5)]
    gap = factories.gap(documents[2], documents[3], from_trade_id=None)
    assert segments_of(documents, gap) == [0, 0, 1, 2, 3]


def test_gap_whose_ends_are_not_in_the_table_breaks_by_time() -> None:
    documents = [factories.document(traded_at=factories.START_MS + 10 * i) for i in range(5)]
    lost = factories.gap(
        factories.document(traded_at=factories.START_MS + 15), factories.document(traded_at=factories.START_MS + 25)
    )
    assert segments_of(documents, lost) == [0, 0, 1, 2, 2]


def test_unknown_ends_at_the_time_of_a_trade_part_it_from_both_neighbours() -> None:
    documents = [factories.document(traded_at=factories.START_MS + 10 * i) for i in range(5)]
    unknown = {**documents[2], "trade_id": "gone"}
    assert segments_of(documents, factories.gap(unknown, unknown)) == [0, 0, 1, 2, 2]


def test_gap_of_another_symbol_or_before_the_first_trade_breaks_nothing() -> None:
    documents = [factories.document(traded_at=factories.START_MS + 10 * i) for i in range(5)]
    other = {**documents[1], "symbol": "ETHUSDT"}, {**documents[2], "symbol": "ETHUSDT"}
    before = tuple(factories.document(traded_at=factories.START_MS - early) for early in (99, 1))
    assert segments_of(documents, factories.gap(*other), factories.gap(*before)) == [0] * 5


def test_gap_that_ends_at_the_first_trade_parts_it_from_the_second_as_far_as_time_shows() -> None:
    documents = [factories.document(traded_at=factories.START_MS + 10 * i) for i in range(5)]
    before = factories.document(traded_at=factories.START_MS - 99)
    assert segments_of(documents, factories.gap(before, documents[0])) == [0, 1, 1, 1, 1]


def test_no_label_crosses_a_gap() -> None:
    documents = factories.market(201, 11)
    documents += factories.market(199, 12, start_ms=documents[200]["traded_at"] + 1)
    gap = factories.gap(documents[200], documents[201])
    found = rows_of(documents, gap)
    before = found.traded_at_ms <= documents[200]["traded_at"]
    assert found.known_at_ms[before].max() <= documents[200]["traded_at"]
    assert found.counts["segments"] == 2


def test_features_run_over_a_gap_as_the_stream_did() -> None:
    documents = factories.market(400, 12)
    whole, broken = rows_of(documents), rows_of(documents, factories.gap(documents[200], documents[201]))
    kept = np.isin(whole.traded_at_ms, broken.traded_at_ms)
    assert broken.x[-150:].tobytes() == whole.x[kept][-150:].tobytes()


def test_zero_ticks_are_counted_within_symbols() -> None:
    prices = ["1", "1", "2", "2", "2"]
    documents = [factories.document(price=price) for price in prices]
    assert rows_of(documents).zero_tick_share == pytest.approx(3 / 4)


def test_digest_changes_with_one_digit() -> None:
    documents = factories.market(30, 13)
    changed = [*documents[:-1], {**documents[-1], "price": documents[-1]["price"] + "0"}]
    assert rows_of(documents).data_digest != rows_of(changed).data_digest


def test_trades_whose_features_overflow_are_left_out_and_counted() -> None:
    documents = factories.market(60, 14)
    documents[30]["price"] = "0." + "0" * 38 + "1"
    assert rows_of(documents).counts["invalid_features"] > 0


def test_no_trades_have_no_rows() -> None:
    assert rows_of([]).counts["rows"] == 0
