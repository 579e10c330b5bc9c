"""SumVector over a minute's predictions, against a plain loop over the trades."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.records import score
from tapeline_spark.evaluation.scores import NextMove, document, next_move, score_minute

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, START, GapEnds, PredictedTrade, rows, scored_by_hand

A, B = "sha256:a", "sha256:b"


def documents(predicted, gaps=(), prior=0.5):
    """Score minute after minute as the stream does, and return the documents by minute and model."""
    by_minute = {}
    for one in predicted:
        by_minute.setdefault(one.at_ms - one.at_ms % MINUTE_MS, []).append(one)
    scored_minutes = {start: score_minute(rows(trades), gaps) for start, trades in by_minute.items()}
    found = {}
    for start, scored in scored_minutes.items():
        move = next_move(scored.boundary, [later.boundary for at, later in scored_minutes.items() if at > start], gaps)
        for model, score_sums in scored.models.items():
            found[start, model] = document(INSTRUMENT, start, model, score_sums, move, prior)
    return found


def test_each_prediction_is_compared_with_the_next_different_price():
    predicted = [
        PredictedTrade(START + 1, 10.0, True, 0.9, 1, A),  # up: a hit
        PredictedTrade(START + 2, 10.0, False, 0.2, 0, A),  # up: a miss
        PredictedTrade(START + 3, 11.0, False, 0.3, 0, A),  # down: a hit
        PredictedTrade(START + 4, 10.5, True, None),
        PredictedTrade(START + 5, 10.5, True, 0.6, 1, A),  # pending
    ]
    (one,) = documents(predicted, prior=0.4).values()
    assert (one["predictions"], one["hits"], one["ups"], one["pending"], one["rule_hits"]) == (3, 2, 2, 1, 2)
    assert one["brier_sum"] == pytest.approx(0.1**2 + 0.8**2 + 0.3**2)
    assert one["prior_brier_sum"] == pytest.approx(2 * 0.6**2 + 0.4**2)
    assert one["probability_sum"] == pytest.approx(1.4)
    assert (one["bin_9_predictions"], one["bin_9_ups"], one["bin_9_probability_sum"]) == (1, 1, 0.9)
    assert (one["bin_3_predictions"], one["bin_3_ups"]) == (1, 0)
    assert {*one, "updated_at"} == set(score.MAPPING["properties"])


def test_last_predictions_of_a_minute_are_resolved_by_a_later_one():
    first = [PredictedTrade(START, 10.0, True, 1.0, 1, A)]
    quiet = [PredictedTrade(START + MINUTE_MS, 10.0), PredictedTrade(START + MINUTE_MS + 5, 10.0)]
    later = [PredictedTrade(START + 3 * MINUTE_MS, 9.0)]
    assert documents(first + quiet)[START, A]["pending"] == 1
    one = documents(first + quiet + later)[START, A]
    assert (one["predictions"], one["pending"], one["ups"], one["bin_9_predictions"]) == (1, 0, 0, 1)


def test_models_are_scored_separately_and_trades_without_a_prediction_are_not():
    predicted = [
        PredictedTrade(START, 1.0, True, 0.5, 1, A),
        PredictedTrade(START + 1, 2.0, True, 0.5, 1, B),
        PredictedTrade(START + 2, 3.0),
    ]
    found = documents(predicted)
    assert {place: one["predictions"] for place, one in found.items()} == {(START, A): 1, (START, B): 1}


def test_no_next_move_is_taken_from_behind_a_gap():
    predicted = [
        PredictedTrade(START, 1.0, True, 0.5, 1, A),
        PredictedTrade(START + 10, 2.0, True, 0.5, 1, A),
        PredictedTrade(START + 20, 3.0, True, 0.5, 1, A),
        PredictedTrade(START + 30, 4.0),
    ]
    # By time alone, trades of the gap's last millisecond may lie on either side of its end.
    one = documents(predicted, gaps=[GapEnds(START, START + 10)])[START, A]
    assert (one["predictions"], one["pending"]) == (1, 2)
    across = [PredictedTrade(START, 1.0, True, 0.5, 1, A), PredictedTrade(START + MINUTE_MS, 2.0)]
    assert documents(across, gaps=[GapEnds(START, START + MINUTE_MS)])[START, A]["pending"] == 1


def test_next_move_is_pending_censored_or_known():
    heads = [
        score_minute(rows([PredictedTrade(START + n * MINUTE_MS, p)]), ()).boundary
        for n, p in ((0, 1.0), (1, 1.0), (2, 0.5))
    ]
    assert next_move(heads[0], heads[1:2], ()) == NextMove()
    assert next_move(heads[0], heads[1:], ()) == NextMove(up=False)
    assert next_move(heads[0], heads[1:], [GapEnds(START + MINUTE_MS, START + 2 * MINUTE_MS)]) == NextMove(
        is_censored=True
    )


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
def test_sums_equal_a_loop_over_the_trades_wherever_minutes_and_gaps_fall(drawn, cuts):
    at_ms, predicted = START, []
    for step, price, is_buy, probability, model in drawn:
        at_ms += step
        prediction = int(probability is not None and probability >= 0.5)
        predicted.append(PredictedTrade(at_ms, price, is_buy, probability, prediction, model))
    gaps = [GapEnds(predicted[n].at_ms, predicted[n + 1].at_ms) for n in cuts if n + 1 < len(predicted)]
    found = documents(predicted, gaps)
    for (start, model), one in found.items():
        predictions, hits, ups, brier, pending = scored_by_hand(predicted, start, model, gaps)
        assert (one["predictions"], one["hits"], one["ups"], one["pending"]) == (predictions, hits, ups, pending)
        assert one["brier_sum"] == pytest.approx(brier)
        bins = [sum(one[f"bin_{n}_{what}"] for n in range(score.BINS)) for what in ("predictions", "ups")]
        assert bins == [predictions, ups]
    expected = {(s.at_ms - s.at_ms % MINUTE_MS, s.model) for s in predicted if s.probability is not None}
    assert expected == set(found)
