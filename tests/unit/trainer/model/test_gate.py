import pytest
from tapeline_trainer.model import gate
from tapeline_trainer.model.metrics import Interval

BETTER, NOISY, WORSE = Interval(-0.02, -0.03, -0.01, 99), Interval(-0.02, -0.05, 0.001, 99), Interval(0.1, 0.0, 0.2, 99)
EDGE = Interval(-0.02, -0.03, 0.0, 99)


@pytest.mark.parametrize(
    ("brier_minus_prior", "auc", "has_current", "action"),
    [
        (BETTER, 0.51, True, "promote_forest"),
        (BETTER, 0.51, False, "promote_forest"),
        (BETTER, 0.50, True, "keep_current"),
        (BETTER, 0.50, False, "promote_prior"),
        (BETTER, None, True, "keep_current"),
        (BETTER, float("nan"), True, "keep_current"),
        (EDGE, 0.90, True, "keep_current"),
        (NOISY, 0.90, True, "keep_current"),
        (NOISY, 0.90, False, "promote_prior"),
        (WORSE, 0.40, True, "keep_current"),
        (WORSE, 0.40, False, "promote_prior"),
        (Interval(0.0, 0.0, float("nan"), 1), 0.9, True, "keep_current"),
    ],
)
def test_gate_promotes_only_what_beats_the_prior_beyond_noise(brier_minus_prior, auc, has_current, action) -> None:
    decision = gate.decide(brier_minus_prior, auc, has_current)
    assert decision.action == action
    assert decision.promoted == (action == "promote_forest")


def test_reasons_name_the_value_and_the_rule_that_failed() -> None:
    reasons = " / ".join(gate.decide(NOISY, 0.61, True).reasons)
    assert "+0.001000, must be below 0: fails" in reasons
    assert "0.6100, must be above 0.5: holds" in reasons
    assert "the current model stays" in reasons


def test_withdrawn_decision_says_that_the_old_model_stays() -> None:
    decision = gate.withdraw(gate.decide(BETTER, 0.61, True), "the roll-out was rolled back")
    assert (decision.action, decision.promoted) == ("keep_current", False)
    assert decision.reasons[-1] == "it is not served: the roll-out was rolled back"
    assert "the forest is promoted" in decision.reasons
