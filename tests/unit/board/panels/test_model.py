import pytest
from tapeline.records import score
from tapeline_board.api.query_params import Span
from tapeline_board.panels import model

from unit.board import factories
from unit.board.searches import search

SPAN = Span(factories.START_MS, factories.START_MS + 3_600_000)
NOTHING = {"hits": {"hits": []}}


def bucket(key, predictions=10.0, **more):
    values = dict.fromkeys((*score.bin_fields(), *(f"bin_{n}_probability_sum" for n in range(score.BINS))), 0.0)
    values |= {"predictions": predictions, "hits": 6.0, "ups": 4.0, "pending": 2.0, "rule_hits": 5.0}
    values |= {"brier_sum": 2.0, "prior_brier_sum": 2.5} | more
    return {"key": key, "doc_count": 1, **{name: {"value": value} for name, value in values.items()}}


def respond(*buckets):
    found = {"hits": {"hits": []}, "aggregations": {"models": {"buckets": list(buckets)}}}
    return model.model_response(SPAN, "no model", found, NOTHING, NOTHING)


def test_shares_are_ratios_of_sums():
    total = respond(bucket("m")).scores[0].total
    assert (total.predictions, total.pending, total.symbol) == (10, 2, None)
    assert (total.hit_rate, total.base_rate, total.rule_hit_rate) == (0.6, 0.4, 0.5)
    assert (total.brier, total.prior_brier, total.skill) == (0.2, 0.25, pytest.approx(0.2))


def test_without_predictions_shares_are_null():
    total = respond(bucket("m", 0.0, hits=0.0, ups=0.0, brier_sum=0.0, prior_brier_sum=0.0)).scores[0].total
    assert (total.hit_rate, total.base_rate, total.brier, total.skill) == (None, None, None, None)


def test_the_same_symbol_at_two_venues_has_scores_of_its_own():
    counts = {factories.ELSEWHERE: 30, factories.INSTRUMENT: 20, factories.LINEAR: 10}
    documents = [
        factories.score_of(
            factories.START_MS + 60_000 * minute, count, count // 2, 3, **factories.fields_of(instrument)
        )
        for instrument, count in counts.items()
        for minute in range(2)
    ]
    found = search(model.scores_request(SPAN), *documents)
    (scores,) = model.model_response(SPAN, "no model", found, NOTHING, NOTHING).scores
    assert [(row.venue, row.market_type, row.symbol, row.predictions) for row in scores.symbols] == [
        (*factories.fields_of(instrument).values(), 2 * count) for instrument, count in counts.items()
    ]
    assert (scores.total.venue, scores.total.symbol, scores.total.predictions) == (None, None, 120)


def test_a_bin_covers_its_probabilities():
    more = {"bin_6_predictions": 4.0, "bin_6_ups": 3.0, "bin_6_probability_sum": 2.6}
    bins = respond(bucket("m", **more)).scores[0].bins
    assert [(row.from_probability, row.to_probability) for row in bins][6] == (0.6, 0.7)
    assert (bins[6].predictions, bins[6].mean_probability, bins[6].up_share) == (4, 0.65, 0.75)
    assert (bins[0].predictions, bins[0].mean_probability, bins[0].up_share) == (0, None, None)


def test_without_a_served_model_there_is_a_reason():
    assert (respond().served, respond().served_reason, respond().scores) == (None, "no model", [])


def test_a_training_run_of_an_older_trainer_lacks_fields_and_one_reason_is_a_list():
    document = {"@timestamp": 5, "run_id": "r", "promoted": False, "reasons": "worse than the prior"}
    (training_run,) = model.model_response(SPAN, "no model", NOTHING, NOTHING, factories.hits(document)).training_runs
    assert (training_run.evaluated_at, training_run.reasons, training_run.auc) == (5, ["worse than the prior"], None)
