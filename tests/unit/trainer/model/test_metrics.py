import numpy as np
import pytest
from sklearn import metrics
from tapeline_trainer.model import metrics as our_metrics
from tapeline_trainer.model.metrics import Predictions


def predicted(count: int, seed: int) -> tuple[Predictions, np.ndarray]:
    draw = np.random.default_rng(seed)
    p = np.round(draw.random(count), 2)
    return Predictions(p, p >= 0.4), (draw.random(count) < p).astype(np.int64)


def test_scores_are_those_of_scikit_learn() -> None:
    predictions, y = predicted(2_000, 1)
    found = our_metrics.scores(predictions, y, prior=0.5)
    assert found["accuracy"] == metrics.accuracy_score(y, predictions.decision)
    assert found["balanced_accuracy"] == metrics.balanced_accuracy_score(y, predictions.decision)
    assert found["mcc"] == metrics.matthews_corrcoef(y, predictions.decision)
    assert found["auc"] == metrics.roc_auc_score(y, predictions.probability)
    assert found["pr_auc"] == metrics.average_precision_score(y, predictions.probability)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(y, predictions.probability))
    assert found["brier_skill_vs_prior"] == pytest.approx(1 - found["brier"] / 0.25)


@pytest.mark.parametrize("y", [np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.int64), np.empty(0, dtype=np.int64)])
def test_metrics_undefined_for_one_class_are_none(y: np.ndarray) -> None:
    predictions = Predictions(np.full(len(y), 0.25), np.zeros(len(y), dtype=bool))
    found = our_metrics.scores(predictions, y, prior=0.5)
    assert found["auc"] is found["mcc"] is found["pr_auc"] is None
    assert set(found) == set(our_metrics.METRICS)


def test_calibration_error_by_hand() -> None:
    p, y = np.array([0.05, 0.05, 0.95, 1.0]), np.array([0, 1, 1, 1])
    assert our_metrics.calibration_error(p, y) == pytest.approx(0.5 * abs(0.05 - 0.5) + 0.5 * abs(0.975 - 1))


def test_calibration_error_equals_a_loop_over_bins() -> None:
    predictions, y = predicted(3_000, 2)
    expected = 0.0
    for low in range(10):
        inside = [i for i, p in enumerate(predictions.probability) if min(int(p * 10), 9) == low]
        if inside:
            error = abs(predictions.probability[inside].mean() - y[inside].mean())
            expected += len(inside) / len(y) * error
    assert our_metrics.calibration_error(predictions.probability, y) == pytest.approx(expected)


def test_lift_of_a_constant_is_one_in_any_order() -> None:
    y = np.array([1] * 7 + [0] * 13)
    assert our_metrics.lift(np.full(20, 0.3), y) == pytest.approx(1)
    assert our_metrics.lift(np.full(20, 0.3), y[::-1]) == pytest.approx(1)


def test_lift_by_hand() -> None:
    p = np.array([0.9, 0.8, 0.8, *[0.1] * 17])
    y = np.array([1, 1, 0, *[0] * 16, 1])
    assert our_metrics.lift(p, y) == pytest.approx(((1 + 0.5) / 2) / (3 / 20))
    assert our_metrics.lift(p, np.zeros(20, dtype=np.int64)) is None


def test_opponents_know_the_training_rows_only() -> None:
    train_y, train_buy = np.array([1, 1, 1, 0, 1, 0, 0, 0]), np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    found = our_metrics.baselines(train_y, train_buy, np.array([True, False]))
    assert found["prior"].probability.tolist() == [0.5, 0.5]
    assert found["rule"].probability.tolist() == [0.75, 0.25]
    assert found["rule"].decision.tolist() == [True, False]
    assert found["majority"].probability.tolist() == [1.0, 1.0]


def test_rule_without_a_buy_in_training_falls_back_to_the_prior() -> None:
    found = our_metrics.baselines(np.array([1, 0]), np.array([False, False]), np.array([True]))
    assert found["rule"].probability.tolist() == [0.5]


def test_interval_of_equal_losses_is_zero() -> None:
    found = our_metrics.paired_interval(np.zeros(100), np.arange(100) // 10, 50, seed=1)
    assert (found.mean, found.low, found.high, found.blocks) == (0.0, 0.0, 0.0, 10)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(3)
    held = 0
    for seed in range(200):
        per_block = draw.normal(0.2, 1.0, 60)
        found = our_metrics.paired_interval(np.repeat(per_block, 5), np.repeat(np.arange(60), 5), 200, seed)
        held += found.low <= 0.2 <= found.high
    assert 175 <= held <= 199


def test_rows_of_one_block_are_drawn_together() -> None:
    difference = np.tile([1.0, -1.0], 500)
    together = our_metrics.paired_interval(difference, np.arange(1000) // 2, 200, seed=4)
    alone = our_metrics.paired_interval(difference, np.arange(1000), 200, seed=4)
    assert together.high - together.low == 0.0 < alone.high - alone.low


def test_interval_is_the_same_for_the_same_seed() -> None:
    difference = np.random.default_rng(5).normal(size=300)
    one, other = (our_metrics.paired_interval(difference, np.arange(300) // 3, 100, seed=6) for _ in range(2))
    assert one == other


def test_blocks_are_shared_by_symbols_and_not_by_epochs() -> None:
    found = our_metrics.blocks(np.array([0, 0, 0, 1]), np.array([4_999, 0, 5_000, 4_999]), 5_000)
    assert found[0] == found[1] and len(set(found.tolist())) == 3
