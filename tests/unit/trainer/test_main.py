"""The command as a person or a CronJob runs it: exit codes, files, and the last line of the log."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import eventually
from tapeline import artefact
from tapeline_trainer import export

from unit.trainer import made

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
    assert artefact.current(tmp_path / "models") == said["digest"]
    assert (tmp_path / "out" / "report.md").read_text().startswith("# Training run")

    noise = tmp_path / "noise.csv"
    export.to_csv(made.tape_of(aimless(6_000)), noise)
    code, after = run(tmp_path, "--trades", str(noise))
    assert (code, after["promoted"], after["digest"]) == (0, False, said["digest"])
    assert artefact.current(tmp_path / "models") == said["digest"]
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
    bundle = artefact.read(tmp_path / "models", said["digest"])
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
    assert artefact.current(tmp_path / "models") == said["digest"]
    assert artefact.read(tmp_path / "models", said["digest"]).manifest.kind == "forest"


@captures
@pytest.mark.captures
@pytest.mark.parametrize("name", ["seed/bybit_dataset_custom.csv", "trades/real_trades.parquet"])
def test_recorded_trades_end_in_a_verdict(tmp_path: Path, name: str) -> None:
    code, said = run(tmp_path, "--trades", str(Path(os.environ["CAPTURES"]) / name))
    assert code == 0 and said["message"] == "verdict"
    assert artefact.current(tmp_path / "models") == said["digest"]
