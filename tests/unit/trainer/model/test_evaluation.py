from dataclasses import replace

import numpy as np
import pytest
from tapeline_trainer.data import dataset
from tapeline_trainer.errors import InsufficientData
from tapeline_trainer.model import evaluation
from tapeline_trainer.settings import Settings

from unit.trainer import factories

QUICK = Settings(trees=20, jobs=1, minimum_rows=1_000, minimum_test_rows=200, resamples=100)


@pytest.fixture(scope="module")
def learnable() -> dataset.Dataset:
    documents = [*factories.market(4_000, 1), *factories.market(2_500, 2, symbol="ETHUSDT")]
    return dataset.build(factories.trade_table_of(documents), 10**6)


def test_existing_signal_is_found_and_measured(learnable: dataset.Dataset) -> None:
    found = evaluation.evaluate(learnable, evaluation.train(learnable, QUICK), QUICK)
    assert found.models["forest"]["auc"] > 0.6
    assert found.brier_minus_prior.high < 0
    assert {row["symbol"] for row in found.by_symbol} == set(learnable.symbols)
    assert sum(row["rows"] for row in found.by_symbol) == found.facts["rows_test"]


def test_shuffled_labels_teach_nothing() -> None:
    data = factories.noise(8_000, 3)
    found = evaluation.evaluate(data, evaluation.train(data, QUICK), QUICK)
    assert abs(found.models["forest"]["auc"] - 0.5) < 0.04
    assert found.brier_minus_prior.high > -0.001
    assert found.models["prior"]["brier_skill_vs_prior"] == 0


def test_run_is_the_same_twice(learnable: dataset.Dataset) -> None:
    one, other = (evaluation.evaluate(learnable, evaluation.train(learnable, QUICK), QUICK) for _ in range(2))
    assert one == other


def test_forest_does_not_depend_on_the_test_rows(learnable: dataset.Dataset) -> None:
    trained = evaluation.train(learnable, QUICK)
    other_future = replace(learnable, y=np.where(trained.split.test, 1 - learnable.y, learnable.y))
    again = evaluation.train(other_future, QUICK)
    x = learnable.x[:500]
    assert again.model.predict_proba(x).tobytes() == trained.model.predict_proba(x).tobytes()
    assert (again.threshold, again.prior) == (trained.threshold, trained.prior)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum_rows": 3_001}, r"labelled rows was 3000; it must be at least 3001 \(TRAINER_MINIMUM_ROWS\)"),
        ({"minimum_test_rows": 2_000}, r"test rows was \d+; it must be at least 2000"),
    ],
)
def test_too_few_rows_are_refused_with_number_rule_and_way_out(changes, message) -> None:
    with pytest.raises(InsufficientData, match=message + ".*collect trades for longer"):
        evaluation.train(factories.noise(3_000, 4), QUICK.model_copy(update=changes))


@pytest.mark.parametrize(("side", "rows"), [("training", slice(0, 2_100)), ("test", slice(2_100, None))])
def test_one_class_on_either_side_is_refused(side: str, rows: slice) -> None:
    data = factories.noise(3_000, 5)
    data.y[rows] = 1
    with pytest.raises(InsufficientData, match=rf"classes among the {side} rows was \[1\]"):
        evaluation.train(data, QUICK)


def test_one_class_in_the_fitting_part_leaves_the_threshold_neutral() -> None:
    data = factories.noise(3_000, 6)
    data.y[:1_800] = 0
    assert evaluation.train(data, QUICK).threshold == 0.5
