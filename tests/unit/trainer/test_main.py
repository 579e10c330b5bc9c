"""The command as a person or a CronJob runs it: exit codes, files, and the last line of the log."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from support import eventually
from tapeline.model import bundle as model_bundle
from tapeline_trainer.data import export

from unit.trainer import factories
from unit.trainer.fake_platform import FakePlatform, fake_platform, verified_digest
from unit.trainer.fork_server import fork_server

QUICK = {"TRAINER_TREES": "20", "TRAINER_JOBS": "1", "TRAINER_RESAMPLES": "100"}
captures = pytest.mark.skipif("CAPTURES" not in os.environ, reason="CAPTURES names no recorded trades")


def own_environment(folder: Path, **changes: str) -> dict[str, str]:
    """Return the trainer's variables, and no others."""
    return {"TRAINER_MODELS": str(folder / "models"), "TRAINER_OUTPUT": str(folder / "out")} | QUICK | changes


def environment(folder: Path, **changes: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_")}
    return clean | own_environment(folder, **changes)


class Run(Protocol):
    def __call__(self, folder: Path, *arguments: str, **changes: str) -> tuple[int, dict[str, Any]]: ...


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a trainer in a process of its own, and returns its exit code and the last line of its log."""
    with fork_server(tmp_path_factory.mktemp("fork-server")) as trainers:

        def once(folder: Path, *arguments: str, **changes: str) -> tuple[int, dict[str, Any]]:
            code = trainers.run(list(arguments), own_environment(folder, **changes))
            return code, trainers.last_log()

        yield once


@pytest.fixture(scope="module")
def trades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trades") / "trades.csv"
    export.to_csv(factories.trade_table_of(factories.market(6_000, 1)), path)
    return path


def test_run_promotes_what_it_reports_and_a_worse_one_leaves_it(run: Run, tmp_path: Path, trades: Path) -> None:
    code, last_log = run(tmp_path, "--trades", str(trades))
    result = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (code, last_log["promoted"], last_log["digest"]) == (0, True, result["digest"])
    assert model_bundle.current(tmp_path / "models") == last_log["digest"]
    assert (tmp_path / "out" / "report.md").read_text().startswith("# Training run")

    noise = tmp_path / "noise.csv"
    export.to_csv(factories.trade_table_of(random_walk(6_000)), noise)
    code, after = run(tmp_path, "--trades", str(noise))
    assert (code, after["promoted"], after["digest"]) == (0, False, last_log["digest"])
    assert model_bundle.current(tmp_path / "models") == last_log["digest"]
    assert json.loads((tmp_path / "out" / "verdict.json").read_text())["promoted"] is False


def random_walk(count: int) -> list[dict[str, Any]]:
    """Return trades whose price goes up or down at random, whatever the side of the taker."""
    draw = np.random.default_rng(9)
    prices = 100_000 + np.cumsum(np.where(draw.random(count) < 0.5, 1, -1))
    sides = np.where(draw.random(count) < 0.5, "Buy", "Sell")
    return [
        factories.document(traded_at=factories.START_MS + i * 200, price=str(prices[i]), side=str(sides[i]))
        for i in range(count)
    ]


def test_first_run_without_a_signal_promotes_the_prior(run: Run, tmp_path: Path) -> None:
    export.to_csv(factories.trade_table_of(random_walk(6_000)), tmp_path / "noise.csv")
    code, last_log = run(tmp_path, "--trades", str(tmp_path / "noise.csv"))
    bundle = model_bundle.read(tmp_path / "models", last_log["digest"])
    assert (code, last_log["promoted"], last_log["promoted_kind"]) == (0, False, "prior")
    assert bundle.manifest.kind == "prior" and bundle.forest.nodes == 1


def test_too_little_data_is_refused_with_code_3_and_touches_no_model(run: Run, tmp_path: Path) -> None:
    export.to_csv(factories.trade_table_of(factories.market(300, 2)), tmp_path / "few.csv")
    code, last_log = run(tmp_path, "--trades", str(tmp_path / "few.csv"))
    assert code == 3
    assert "at least 2000 (TRAINER_MINIMUM_ROWS)" in last_log["message"]
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        ((), {}, "set TRAINER_ELASTICSEARCH_URL or give --trades"),
        (("--trades", "/nowhere/t.csv"), {}, "missing"),
        ((), {"TRAINER_TREES": "none"}, "trees"),
    ],
)
def test_unusable_call_ends_with_code_1_and_says_why(run: Run, tmp_path: Path, arguments, changes, message) -> None:
    code, last_log = run(tmp_path, *arguments, **changes)
    assert code == 1 and message in last_log["message"]


def test_run_killed_while_training_leaves_the_served_model(run: Run, tmp_path: Path, trades: Path) -> None:
    _, last_log = run(tmp_path, "--trades", str(trades))
    changes = environment(tmp_path, TRAINER_TREES="5000")
    command = [sys.executable, "-m", "tapeline_trainer", "--trades", str(trades)]
    with subprocess.Popen(command, env=changes, stdout=subprocess.PIPE, text=True) as process:
        eventually(lambda: '"data set"' in process.stdout.readline(), "training has begun", timeout_s=60)
        process.send_signal(signal.SIGKILL)
    assert model_bundle.current(tmp_path / "models") == last_log["digest"]
    assert model_bundle.read(tmp_path / "models", last_log["digest"]).manifest.kind == "forest"


def run_in_cluster(
    run: Run, running: FakePlatform, trades: Path, **changes: str
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit code, last line of the log and stored verdict of a run that serves through a cluster."""
    code, last_log = run(running.folder, "--trades", str(trades), **{**running.environment(), **changes})
    return code, last_log, json.loads((running.folder / "out" / "verdict.json").read_text())


def test_run_in_a_cluster_rolls_out_what_it_promotes_and_keeps_it_when_the_next_is_worse(
    run: Run, tmp_path: Path, trades: Path
) -> None:
    with fake_platform(tmp_path) as running:
        code, last_log, verdict = run_in_cluster(run, running, trades)
        reference = running.cluster.reference
        assert (code, last_log["promoted"], last_log["rollout"]) == (0, True, "rolled_out")
        assert running.cluster.served == {reference} == {verdict["image_reference"]}
        assert verdict["image_digest"] == reference.partition("@")[2]
        assert verified_digest(running.registry, reference) == last_log["digest"]
        assert (verdict["parent_digest"], verdict["rollout_seconds"] > 0) == (running.bootstrap_digest, True)

        # The next pod of the CronJob starts with an empty folder: it compares with the served model.
        shutil.rmtree(tmp_path / "models")
        export.to_csv(factories.trade_table_of(random_walk(6_000)), tmp_path / "noise.csv")
        code, after, verdict = run_in_cluster(run, running, tmp_path / "noise.csv")
        assert (code, after["promoted"], after["digest"]) == (0, False, last_log["digest"])
        assert (verdict["rollout"], verdict["image_reference"]) == ("not_attempted", None)
        assert verdict["parent_digest"] == last_log["digest"]
        assert running.cluster.reference == reference and len(running.cluster.patches) == 1


class AllBut:
    """Every string but one."""

    def __init__(self, one: str) -> None:
        self._one = one

    def __contains__(self, other: object) -> bool:
        return other != self._one


def test_run_whose_model_does_not_come_up_stores_its_verdict_and_ends_with_code_4(
    run: Run, tmp_path: Path, trades: Path
) -> None:
    with fake_platform(tmp_path) as running:
        running.cluster.broken = AllBut(running.bootstrap_reference)
        code, last_log, verdict = run_in_cluster(run, running, trades)
        assert code == 4 and "rolled_back" in last_log["message"]
        assert (verdict["rollout"], verdict["promoted"], verdict["promoted_kind"]) == ("rolled_back", False, None)
        assert verdict["digest"] == verdict["parent_digest"] == running.bootstrap_digest
        assert "ProgressDeadlineExceeded" in verdict["rollout_reason"]
        assert running.cluster.served == {running.bootstrap_reference} == {running.cluster.reference}
        assert "Verdict: the new model was rolled back" in (tmp_path / "out" / "report.md").read_text()


def test_cluster_that_does_not_answer_stops_the_run_before_it_trains(run: Run, tmp_path: Path, trades: Path) -> None:
    with fake_platform(tmp_path) as running:
        running.cluster.failures = [500] * 1_000
        code, last_log = run(tmp_path, "--trades", str(trades), **running.environment(retry_deadline_s="0.5"))
    assert code == 1 and "reading Deployment tapeline-inference/inference was 500" in last_log["message"]
    assert not (tmp_path / "out").exists()


def test_bootstrap_model_is_pushed_and_only_its_reference_is_printed(tmp_path: Path) -> None:
    with fake_platform(tmp_path) as running:
        command = [sys.executable, "-W", "error", "-m", "tapeline_trainer", "bootstrap-model", "--probability", "0.4"]
        changes = environment(tmp_path, **running.environment())
        done = subprocess.run(command, env=changes, capture_output=True, text=True, check=True, timeout=60)
        digest = verified_digest(running.registry, done.stdout.strip())
    assert done.stdout.startswith("127.0.0.1:5001/tapeline/models@sha256:") and not done.stderr
    assert digest != running.bootstrap_digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bootstrap-model",), "set TRAINER_REGISTRY"),
        (("rollout-only", "--models", "/nowhere"), "must name a bundle"),
    ],
)
def test_unusable_call_of_another_command_says_why(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    command = [sys.executable, "-m", "tapeline_trainer", *arguments]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and message in done.stdout + done.stderr


@captures
@pytest.mark.captures
@pytest.mark.parametrize("name", ["seed/bybit_dataset_custom.csv", "trades/real_trades.parquet"])
def test_recorded_trades_end_in_a_verdict(run: Run, tmp_path: Path, name: str) -> None:
    code, last_log = run(tmp_path, "--trades", str(Path(os.environ["CAPTURES"]) / name))
    assert code == 0 and last_log["message"] == "verdict"
    assert model_bundle.current(tmp_path / "models") == last_log["digest"]
