"""SumVector over a minute's predictions, against a plain loop over the trades."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.records import score
from tapeline_spark.evaluation.scores import NextMove, document, next_move, score_minute

from unit.spark.change_factories import KEY, MINUTE_MS, START, Said, rows, scored_by_hand

A, B = "sha256:a", "sha256:b"


def documents(said, gaps=(), prior=0.5):
    """Score minute after minute as the stream does, and return the documents by minute and model."""
    by_minute = {}
    for one in said:
        by_minute.setdefault(one.at_ms - one.at_ms % MINUTE_MS, []).append(one)
    scored_minutes = {start: score_minute(rows(trades), gaps) for start, trades in by_minute.items()}
    found = {}
    for start, scored in scored_minutes.items():
        move = next_move(scored.boundary, [later.boundary for at, later in scored_minutes.items() if at > start], gaps)
        for model, score_sums in scored.models.items():
            found[start, model] = document(KEY, start, model, score_sums, move, prior)
    return found


def test_each_prediction_is_compared_with_the_next_different_price():
    said = [
        Said(START + 1, 10.0, True, 0.9, 1, A),  # up: a hit
        Said(START + 2, 10.0, False, 0.2, 0, A),  # up: a miss
        Said(START + 3, 11.0, False, 0.3, 0, A),  # down: a hit
        Said(START + 4, 10.5, True, None),
        Said(START + 5, 10.5, True, 0.6, 1, A),  # waits
    ]
    (one,) = documents(said, prior=0.4).values()
    assert (one["predictions"], one["hits"], one["ups"], one["pending"], one["rule_hits"]) == (3, 2, 2, 1, 2)
    assert one["brier_sum"] == pytest.approx(0.1**2 + 0.8**2 + 0.3**2)
    assert one["prior_brier_sum"] == pytest.approx(2 * 0.6**2 + 0.4**2)
    assert one["probability_sum"] == pytest.approx(1.4)
    assert (one["bin_9_predictions"], one["bin_9_ups"], one["bin_9_probability_sum"]) == (1, 1, 0.9)
    assert (one["bin_3_predictions"], one["bin_3_ups"]) == (1, 0)
    assert {*one, "updated_at"} == set(score.MAPPING["properties"])


def test_last_prices_of_a_minute_are_answered_by_a_later_one():
    first = [Said(START, 10.0, True, 1.0, 1, A)]
    quiet = [Said(START + MINUTE_MS, 10.0), Said(START + MINUTE_MS + 5, 10.0)]
    later = [Said(START + 3 * MINUTE_MS, 9.0)]
    assert documents(first + quiet)[START, A]["pending"] == 1
    one = documents(first + quiet + later)[START, A]
    assert (one["predictions"], one["pending"], one["ups"], one["bin_9_predictions"]) == (1, 0, 0, 1)


def test_models_are_told_apart_and_what_nobody_said_is_not_scored():
    said = [Said(START, 1.0, True, 0.5, 1, A), Said(START + 1, 2.0, True, 0.5, 1, B), Said(START + 2, 3.0)]
    found = documents(said)
    assert {place: one["predictions"] for place, one in found.items()} == {(START, A): 1, (START, B): 1}


def test_no_answer_is_taken_from_behind_a_hole():
    said = [Said(START, 1.0, True, 0.5, 1, A), Said(START + 10, 2.0, True, 0.5, 1, A), Said(START + 20, 3.0)]
    one = documents(said, gaps=[(START, START + 10)])[START, A]
    assert (one["predictions"], one["pending"]) == (1, 1)
    across = [Said(START, 1.0, True, 0.5, 1, A), Said(START + MINUTE_MS, 2.0)]
    assert documents(across, gaps=[(START, START + MINUTE_MS)])[START, A]["pending"] == 1


def test_answer_is_open_cut_or_known():
    heads = [
        score_minute(rows([Said(START + n * MINUTE_MS, p)]), ()).boundary for n, p in ((0, 1.0), (1, 1.0), (2, 0.5))
    ]
    assert next_move(heads[0], heads[1:2], ()) == NextMove()
    assert next_move(heads[0], heads[1:], ()) == NextMove(up=False)
    assert next_move(heads[0], heads[1:], [(START + MINUTE_MS, START + 2 * MINUTE_MS)]) == NextMove(is_censored=True)


trades = st.lists(
    st.tuples(
        st.integers(0, 40_000),  # ms since the trade before
        st.sampled_from([1.0, 1.5, 2.0]),
        st.booleans(),
        st.one_of(st.none(), st.floats(0, 1)),
        st.sampled_from([A, B]),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(trades, st.lists(st.integers(0, 39), max_size=2))
def test_sums_equal_a_loop_over_the_trades_wherever_minutes_and_holes_fall(drawn, cuts):
    at_ms, said = START, []
    for step, price, is_buy, probability, model in drawn:
        at_ms += step
        prediction = int(probability is not None and probability >= 0.5)
        said.append(Said(at_ms, price, is_buy, probability, prediction, model))
    pairs = [(said[n].at_ms, said[n + 1].at_ms) for n in cuts if n + 1 < len(said)]
    gaps = [pair for pair in pairs if pair[0] < pair[1]]
    found = documents(said, gaps)
    for (start, model), one in found.items():
        predictions, hits, ups, brier, pending = scored_by_hand(said, start, model, gaps)
        assert (one["predictions"], one["hits"], one["ups"], one["pending"]) == (predictions, hits, ups, pending)
        assert one["brier_sum"] == pytest.approx(brier)
        bins = [sum(one[f"bin_{n}_{what}"] for n in range(score.BINS)) for what in ("predictions", "ups")]
        assert bins == [predictions, ups]
    score_sums = {(s.at_ms - s.at_ms % MINUTE_MS, s.model) for s in said if s.probability is not None}
    assert score_sums == set(found)
