import pytest
from pydantic import ValidationError
from tapeline.records import score
from tapeline_board.api.query_params import Span
from tapeline_board.panels import model

from unit.board import made

SPAN = Span(made.START_MS, made.START_MS + 3_600_000)
NOTHING = {"hits": {"hits": []}}


def bucket(key, predictions=10.0, **more):
    values = dict.fromkeys((*score.bin_fields(), *(f"bin_{n}_probability_sum" for n in range(score.BINS))), 0.0)
    values |= {"predictions": predictions, "hits": 6.0, "ups": 4.0, "pending": 2.0, "rule_hits": 5.0}
    values |= {"brier_sum": 2.0, "prior_brier_sum": 2.5} | more
    return {"key": key, "doc_count": 1, **{name: {"value": value} for name, value in values.items()}}


def told(*buckets):
    found = {"hits": {"hits": []}, "aggregations": {"models": {"buckets": list(buckets)}}}
    return model.answer(SPAN, "no model", found, NOTHING, NOTHING)


def test_shares_are_made_of_sums():
    total = told(bucket("m")).scores[0].total
    assert (total.predictions, total.pending, total.symbol) == (10, 2, None)
    assert (total.hit_rate, total.base_rate, total.rule_hit_rate) == (0.6, 0.4, 0.5)
    assert (total.brier, total.prior_brier, total.skill) == (0.2, 0.25, pytest.approx(0.2))


def test_without_a_prediction_no_share_is_known():
    total = told(bucket("m", 0.0, hits=0.0, ups=0.0, brier_sum=0.0, prior_brier_sum=0.0)).scores[0].total
    assert (total.hit_rate, total.base_rate, total.brier, total.skill) == (None, None, None, None)


def test_a_bin_lies_where_its_probabilities_do():
    more = {"bin_6_predictions": 4.0, "bin_6_ups": 3.0, "bin_6_probability_sum": 2.6}
    bins = told(bucket("m", **more)).scores[0].bins
    assert [(row.from_probability, row.to_probability) for row in bins][6] == (0.6, 0.7)
    assert (bins[6].predictions, bins[6].mean_probability, bins[6].up_share) == (4, 0.65, 0.75)
    assert (bins[0].predictions, bins[0].mean_probability, bins[0].up_share) == (0, None, None)


def test_a_model_that_is_not_served_says_why():
    assert (told().served, told().served_reason, told().scores) == (None, "no model", [])


ABOUT = {
    **{"model_digest": made.DIGEST, "kind": "forest", "created_at_ms": 1_000, "expires_at_ms": 2_000},
    **{"feature_version": "1", "label_version": "2", "threshold": 0.5, "metrics": {}},
}


@pytest.mark.parametrize(("now_ms", "expired"), [(1_999, False), (2_000, True)])
def test_a_model_expires_at_its_moment(now_ms, expired):
    assert model.served(ABOUT, now_ms).is_expired is expired


def test_an_answer_of_something_else_is_no_model():
    with pytest.raises(KeyError):
        model.served({"hello": 1}, 0)
    with pytest.raises(ValidationError):
        model.served(ABOUT | {"threshold": "high"}, 0)


def test_a_verdict_of_an_older_trainer_lacks_fields_and_one_reason_is_a_list_of_one():
    document = {"@timestamp": 5, "run_id": "r", "promoted": False, "reasons": "worse than the prior"}
    (verdict,) = model.answer(SPAN, "no model", NOTHING, NOTHING, made.hits(document)).verdicts
    assert (verdict.judged_at, verdict.reasons, verdict.auc) == (5, ["worse than the prior"], None)
