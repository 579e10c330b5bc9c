"""The command as a person or a CronJob runs it: exit codes, files, and the last line of the log."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import eventually
from tapeline.model import bundle as model_bundle
from tapeline_trainer.data import export

from unit.trainer import made
from unit.trainer.platform import Platform, platform, provable

QUICK = {"TRAINER_TREES": "20", "TRAINER_JOBS": "1", "TRAINER_RESAMPLES": "100"}
captures = pytest.mark.skipif("CAPTURES" not in os.environ, reason="CAPTURES names no recorded trades")


def environment(folder: Path, **changes: str) -> dict[str, str]:
    own = {"TRAINER_MODELS": str(folder / "models"), "TRAINER_OUTPUT": str(folder / "out")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_")}
    return clean | own | QUICK | changes


def run(folder: Path, *arguments: str, **changes: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the last line of the log."""
    command = [sys.executable, "-W", "error", "-m", "tapeline_trainer", *arguments]
    done = subprocess.run(
        command, env=environment(folder, **changes), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def trades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trades") / "trades.csv"
    export.to_csv(made.tape_of(made.market(6_000, 1)), path)
    return path


def test_run_promotes_what_it_reports_and_a_worse_one_leaves_it(tmp_path: Path, trades: Path) -> None:
    code, said = run(tmp_path, "--trades", str(trades))
    result = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (code, said["promoted"], said["digest"]) == (0, True, result["digest"])
    assert model_bundle.current(tmp_path / "models") == said["digest"]
    assert (tmp_path / "out" / "report.md").read_text().startswith("# Training run")

    noise = tmp_path / "noise.csv"
    export.to_csv(made.tape_of(aimless(6_000)), noise)
    code, after = run(tmp_path, "--trades", str(noise))
    assert (code, after["promoted"], after["digest"]) == (0, False, said["digest"])
    assert model_bundle.current(tmp_path / "models") == said["digest"]
    assert json.loads((tmp_path / "out" / "verdict.json").read_text())["promoted"] is False


def aimless(count: int) -> list[dict[str, Any]]:
    """Trades whose price goes up or down by the throw of a coin, whoever was the taker."""
    draw = np.random.default_rng(9)
    prices = 100_000 + np.cumsum(np.where(draw.random(count) < 0.5, 1, -1))
    sides = np.where(draw.random(count) < 0.5, "Buy", "Sell")
    return [
        made.document(traded_at=made.START_MS + i * 200, price=str(prices[i]), side=str(sides[i])) for i in range(count)
    ]


def test_first_run_without_a_signal_promotes_the_prior(tmp_path: Path) -> None:
    export.to_csv(made.tape_of(aimless(6_000)), tmp_path / "noise.csv")
    code, said = run(tmp_path, "--trades", str(tmp_path / "noise.csv"))
    bundle = model_bundle.read(tmp_path / "models", said["digest"])
    assert (code, said["promoted"], said["promoted_kind"]) == (0, False, "prior")
    assert bundle.manifest.kind == "prior" and bundle.forest.nodes == 1


def test_too_little_data_is_refused_with_code_3_and_touches_no_model(tmp_path: Path) -> None:
    export.to_csv(made.tape_of(made.market(300, 2)), tmp_path / "few.csv")
    code, said = run(tmp_path, "--trades", str(tmp_path / "few.csv"))
    assert code == 3
    assert "at least 2000 (TRAINER_MINIMUM_ROWS)" in said["message"]
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "changes", "told"),
    [
        ((), {}, "set TRAINER_ELASTICSEARCH_URL or give --trades"),
        (("--trades", "/nowhere/t.csv"), {}, "missing"),
        ((), {"TRAINER_TREES": "none"}, "trees"),
    ],
)
def test_unusable_call_ends_with_code_1_and_says_why(tmp_path: Path, arguments, changes, told) -> None:
    code, said = run(tmp_path, *arguments, **changes)
    assert code == 1 and told in said["message"]


def test_run_killed_while_training_leaves_the_served_model(tmp_path: Path, trades: Path) -> None:
    _, said = run(tmp_path, "--trades", str(trades))
    changes = environment(tmp_path, TRAINER_TREES="5000")
    command = [sys.executable, "-m", "tapeline_trainer", "--trades", str(trades)]
    with subprocess.Popen(command, env=changes, stdout=subprocess.PIPE, text=True) as process:
        eventually(lambda: '"data set"' in process.stdout.readline(), "training has begun", timeout_s=60)
        process.send_signal(signal.SIGKILL)
    assert model_bundle.current(tmp_path / "models") == said["digest"]
    assert model_bundle.read(tmp_path / "models", said["digest"]).manifest.kind == "forest"


def rolled(running: Platform, trades: Path, **changes: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit code, last line of the log and stored verdict of a run that serves through a cluster."""
    code, said = run(running.folder, "--trades", str(trades), **{**running.environment(), **changes})
    return code, said, json.loads((running.folder / "out" / "verdict.json").read_text())


def test_run_in_a_cluster_rolls_out_what_it_promotes_and_keeps_it_before_a_worse_one(
    tmp_path: Path, trades: Path
) -> None:
    with platform(tmp_path) as running:
        code, said, verdict = rolled(running, trades)
        reference = running.cluster.reference
        assert (code, said["promoted"], said["rollout"]) == (0, True, "rolled_out")
        assert running.cluster.served == {reference} == {verdict["image_reference"]}
        assert verdict["image_digest"] == reference.partition("@")[2]
        assert provable(running.registry, reference) == said["digest"]
        assert (verdict["parent_digest"], verdict["rollout_seconds"] > 0) == (running.seed, True)

        # The next pod of the CronJob begins with an empty folder: what it judges against is what is served.
        shutil.rmtree(tmp_path / "models")
        export.to_csv(made.tape_of(aimless(6_000)), tmp_path / "noise.csv")
        code, after, verdict = rolled(running, tmp_path / "noise.csv")
        assert (code, after["promoted"], after["digest"]) == (0, False, said["digest"])
        assert (verdict["rollout"], verdict["image_reference"]) == ("not_attempted", None)
        assert verdict["parent_digest"] == said["digest"]
        assert running.cluster.reference == reference and len(running.cluster.patches) == 1


class AllBut:
    """Every string but one."""

    def __init__(self, one: str) -> None:
        self._one = one

    def __contains__(self, other: object) -> bool:
        return other != self._one


def test_run_whose_model_does_not_come_up_stores_its_verdict_and_ends_with_code_4(tmp_path: Path, trades: Path) -> None:
    with platform(tmp_path) as running:
        running.cluster.broken = AllBut(running.seed_reference)
        code, said, verdict = rolled(running, trades)
        assert code == 4 and "undone" in said["message"]
        assert (verdict["rollout"], verdict["promoted"], verdict["promoted_kind"]) == ("undone", False, None)
        assert verdict["digest"] == verdict["parent_digest"] == running.seed
        assert "ProgressDeadlineExceeded" in verdict["rollout_reason"]
        assert running.cluster.served == {running.seed_reference} == {running.cluster.reference}
        assert "Verdict: the new model was taken back" in (tmp_path / "out" / "report.md").read_text()


def test_cluster_that_does_not_answer_stops_the_run_before_it_trains(tmp_path: Path, trades: Path) -> None:
    with platform(tmp_path) as running:
        running.cluster.failures = [500] * 1_000
        code, said = run(tmp_path, "--trades", str(trades), **running.environment(retry_deadline_s="0.5"))
    assert code == 1 and "reading Deployment tapeline-inference/inference was 500" in said["message"]
    assert not (tmp_path / "out").exists()


def test_seed_is_pushed_and_its_reference_is_all_that_is_printed(tmp_path: Path) -> None:
    with platform(tmp_path) as running:
        command = [sys.executable, "-W", "error", "-m", "tapeline_trainer", "seed", "--probability", "0.4"]
        changes = environment(tmp_path, **running.environment())
        done = subprocess.run(command, env=changes, capture_output=True, text=True, check=True, timeout=60)
        digest = provable(running.registry, done.stdout.strip())
    assert done.stdout.startswith("127.0.0.1:5001/tapeline/models@sha256:") and not done.stderr
    assert digest != running.seed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("seed",), "set TRAINER_REGISTRY"),
        (("rollout-only", "--models", "/nowhere"), "must name a bundle"),
    ],
)
def test_unusable_call_of_another_command_says_why(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    command = [sys.executable, "-m", "tapeline_trainer", *arguments]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and told in done.stdout + done.stderr


@captures
@pytest.mark.captures
@pytest.mark.parametrize("name", ["seed/bybit_dataset_custom.csv", "trades/real_trades.parquet"])
def test_recorded_trades_end_in_a_verdict(tmp_path: Path, name: str) -> None:
    code, said = run(tmp_path, "--trades", str(Path(os.environ["CAPTURES"]) / name))
    assert code == 0 and said["message"] == "verdict"
    assert model_bundle.current(tmp_path / "models") == said["digest"]
