from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tapeline_trainer.data.split import Split, epochs, split_rows

EMBARGO_MS = 5_000

ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0, 0, 1_000_000_000]),
        st.integers(0, 200_000),
        st.integers(0, 30_000),
    ),
    min_size=1,
    max_size=150,
)


def columns(rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    symbol = np.array([symbol for symbol, _, _, _ in rows], dtype=np.int64)
    traded = np.array([era + time for _, era, time, _ in rows], dtype=np.int64)
    return symbol, traded, traded + np.array([wait for _, _, _, wait in rows], dtype=np.int64)


def roles(symbol: np.ndarray, traded: np.ndarray, known: np.ndarray) -> Split:
    return split_rows(symbol, traded, known, test_share=0.3, tuning_share=0.15, embargo_ms=EMBARGO_MS)


@given(ROWS)
def test_every_training_label_is_known_an_embargo_before_any_test_row(rows) -> None:
    symbol, traded, known = columns(rows)
    found = roles(symbol, traded, known)
    for epoch in np.unique(found.epoch):
        train_known, test_traded = (
            known[found.train & (found.epoch == epoch)],
            traded[found.test & (found.epoch == epoch)],
        )
        if len(train_known) and len(test_traded):
            assert test_traded.min() - train_known.max() > EMBARGO_MS


@given(ROWS)
def test_tuning_rows_come_after_every_fitted_label_and_before_every_test_row(rows) -> None:
    symbol, traded, known = columns(rows)
    found = roles(symbol, traded, known)
    for epoch in np.unique(found.epoch):
        inside = found.epoch == epoch
        fit, tune, test = (inside & part for part in (found.fit, found.tune, found.test))
        if fit.any() and tune.any():
            assert traded[tune].min() - known[fit].max() > EMBARGO_MS
        if tune.any() and test.any():
            assert traded[test].min() > known[tune].max()


@given(ROWS)
def test_no_row_has_two_roles(rows) -> None:
    found = roles(*columns(rows))
    assert not np.any(found.train & found.test) and not np.any(found.fit & found.tune)
    assert np.all(found.train[found.fit | found.tune])


@given(ROWS)
def test_epochs_never_overlap_in_time_and_hold_whole_symbols(rows) -> None:
    symbol, traded, _ = columns(rows)
    epoch = epochs(symbol, traded)
    assert all(len(np.unique(epoch[symbol == number])) == 1 for number in np.unique(symbol))
    spans = [(traded[epoch == number].min(), traded[epoch == number].max()) for number in np.unique(epoch)]
    assert all(earlier[1] < later[0] for earlier, later in pairwise(spans))


def test_symbols_joined_only_through_a_third_share_an_epoch() -> None:
    symbol, traded = np.array([0, 0, 1, 1, 2, 2, 3]), np.array([0, 10, 8, 20, 19, 30, 31])
    assert epochs(symbol, traded).tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_latest_share_judges_and_rows_at_the_cut_are_left_out() -> None:
    traded = np.arange(0, 100_000, 1_000)
    found = roles(np.zeros(100, dtype=np.int64), traded, traded + 2_000)
    assert traded[found.train].max() == 67_000
    assert traded[found.test].min() == 75_000
    assert (found.train.sum(), found.test.sum()) == (68, 25)


def test_all_symbols_of_an_epoch_share_one_cut() -> None:
    symbol, traded = np.repeat([0, 1], [90, 10]), np.concatenate([np.arange(90), np.arange(80, 90)]) * 1_000
    found = roles(symbol, traded, traded)
    assert not found.train[symbol == 1].any()


def test_no_rows_have_no_roles() -> None:
    found = roles(*(np.empty(0, dtype=np.int64) for _ in range(3)))
    assert len(found.train) == len(found.test) == len(found.epoch) == 0
