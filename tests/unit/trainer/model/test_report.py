import json

import pytest
from tapeline.model.oci_image import Reference
from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING
from tapeline_trainer.model import evaluation, gate, report
from tapeline_trainer.rollout.target import RolloutOutcome
from tapeline_trainer.settings import Settings

from unit.trainer import factories

STABLE = (
    *("auc", "mcc", "brier", "brier_skill_vs_prior", "brier_skill_vs_rule", "base_rate"),
    *("rows_train", "rows_test", "promoted", "promoted_kind", "digest", "reasons", "run_id"),
    *("threshold", "prior", "models", "by_symbol", "next_trade", "data_digest"),
)

ROLLED_BACK = RolloutOutcome(
    "rolled_back", "it was slow", False, Reference("r:1", "tapeline/models", "sha256:" + "a" * 64), 1.5
)


@pytest.fixture(scope="module")
def result() -> dict:
    settings = Settings(trees=5, jobs=1, resamples=20)
    data = factories.noise(4_000, 1, symbols=2)
    trained = evaluation.train(data, settings)
    evaluated = evaluation.evaluate(data, trained, settings)
    verdict = gate.decide(evaluated.brier_minus_prior, 0.4, has_current=True)
    return report.build_document("run-1", data, trained, evaluated, verdict, "d" * 64, ROLLED_BACK)


def test_report_has_its_stable_keys_and_is_plain_json(result: dict) -> None:
    assert set(STABLE) <= set(result)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_report_holds_every_field_of_the_stored_verdict(result: dict) -> None:
    known = {*result, *result["facts"], "parent_digest", "@timestamp"}
    assert set(VERDICT_MAPPING["properties"]) <= known


def test_report_says_what_became_of_the_image(result: dict) -> None:
    found = [result[f"rollout{name}"] for name in ("", "_reason", "_seconds")]
    assert found == ["rolled_back", "it was slow", 1.5]
    assert result["image_digest"] == "sha256:" + "a" * 64
    assert result["image_reference"] == "r:1/tapeline/models@sha256:" + "a" * 64
    assert "Roll-out: rolled_back (it was slow)." in report.render_markdown(result, ())


def test_page_says_verdict_base_rate_limits_and_warnings(result: dict) -> None:
    page = report.render_markdown(result | {"rollout": "not_attempted"}, ("order was lost",))
    assert "forest refused, current model stays" in page
    assert f"Base rate: {result['base_rate']:.1%}" in page
    assert "> Warning: order was lost" in page
    assert "No costs" in page and "not a\nprofit" in page
    assert all(reason in page for reason in result["reasons"])


def test_page_shows_what_is_not_defined_as_a_dash(result: dict) -> None:
    changed = {**result, "by_symbol": [{**result["by_symbol"][0], "auc": None}]}
    row = next(line for line in report.render_markdown(changed, ()).splitlines() if line.startswith("| bybit:"))
    assert row.split(" | ")[4] == "–"
