"""Labels by hand, against a naive loop, and across nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapeline.model import labels
from tapeline.model.labels import ABSENT, HORIZON_MS

NONE = ABSENT


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_next_different_price_skips_trades_that_repeat_it() -> None:
    found = labels.next_different_price(ints(0, 1, 2, 3, 4), floats(5, 5, 6, 6, 4), ints(0, 0, 0, 0, 0))
    assert found.value.tolist() == [1, 1, 0, 0, NONE]
    assert found.known_at_ms.tolist() == [2, 2, 4, 4, 4]


def test_next_trade_higher_counts_a_repeated_price_as_not_higher() -> None:
    found = labels.next_trade_higher(ints(0, 1, 2, 3, 4), floats(5, 5, 6, 6, 4), ints(0, 0, 0, 0, 0))
    assert found.value.tolist() == [0, 1, 0, 0, NONE]
    assert found.known_at_ms.tolist() == [1, 2, 3, 4, 4]


def test_answer_at_the_horizon_counts_and_one_after_it_is_absent() -> None:
    times = ints(0, 1, HORIZON_MS + 1)
    found = labels.next_different_price(times, floats(5, 5, 6), ints(0, 0, 0))
    assert found.value.tolist() == [NONE, 1, NONE]
    assert found.known_at_ms.tolist() == [0, HORIZON_MS + 1, HORIZON_MS + 1]


def test_labels_stop_at_a_segment_even_where_the_price_stays_the_same() -> None:
    prices, segment = floats(5, 5, 5, 6, 7, 7), ints(0, 0, 1, 1, 2, 2)
    found = labels.next_different_price(ints(0, 1, 2, 3, 4, 5), prices, segment)
    assert found.value.tolist() == [NONE, NONE, 1, NONE, NONE, NONE]
    assert labels.next_trade_higher(ints(0, 1, 2, 3, 4, 5), prices, segment).value.tolist() == [
        *(0, NONE, 1, NONE, 0, NONE)
    ]


def test_equal_prices_of_two_neighbouring_segments_are_no_answer() -> None:
    found = labels.next_different_price(ints(0, 1, 2), floats(5, 5, 6), ints(0, 1, 1))
    assert found.value.tolist() == [NONE, 1, NONE]


@pytest.mark.parametrize("label", [labels.next_different_price, labels.next_trade_higher])
def test_no_trades_have_no_labels(label) -> None:
    found = label(ints(), floats(), ints())
    assert len(found.value) == len(found.known_at_ms) == 0


def naive_next_different(times: list[int], prices: list[float], segment: list[int]) -> list[tuple[int, int]]:
    answers = []
    for i in range(len(prices)):
        answer = (NONE, times[i])
        for j in range(i + 1, len(prices)):
            if segment[j] != segment[i]:
                break
            if prices[j] != prices[i]:
                if times[j] - times[i] <= HORIZON_MS:
                    answer = (int(prices[j] > prices[i]), times[j])
                break
        answers.append(answer)
    return answers


def naive_next_trade(times: list[int], prices: list[float], segment: list[int]) -> list[tuple[int, int]]:
    last = len(prices) - 1
    return [
        (int(prices[i + 1] > prices[i]), times[i + 1])
        if i < last and segment[i + 1] == segment[i]
        else (NONE, times[i])
        for i in range(len(prices))
    ]


TRADES = st.lists(
    st.tuples(st.sampled_from([0, 1, 900, 14_000, 31_000]), st.sampled_from([1.0, 1.5, 2.0]), st.booleans()),
    max_size=60,
)


@pytest.mark.parametrize(
    ("label", "naive"),
    [
        (labels.next_different_price, naive_next_different),
        (labels.next_trade_higher, naive_next_trade),
    ],
)
@given(trades=TRADES)
def test_label_equals_its_naive_loop(label, naive, trades) -> None:
    times = np.cumsum([pause for pause, _, _ in trades], dtype=np.int64)
    prices = floats(*(price for _, price, _ in trades))
    segment = np.cumsum([breaks for _, _, breaks in trades], dtype=np.int64)
    found = label(times, prices, segment)
    expected = naive(times.tolist(), prices.tolist(), segment.tolist())
    assert list(zip(found.value.tolist(), found.known_at_ms.tolist(), strict=True)) == expected
