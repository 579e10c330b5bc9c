"""Models that reach running replicas: a good one under load, and three that must not stay. Times are printed."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest
from support import eventually
from unit.fakes.registry import FakeRegistry
from unit.fakes.web import serving as on_a_socket
from unit.tapeline import models

from cluster import load_generator, platform, running, serving
from cluster.kube import kubectl

pytestmark = pytest.mark.timeout(900)
ROLLED_BACK = 4
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def first(node, images, namespaces, tmp_path_factory):
    """Two replicas that serve a first model, with little patience for a second."""
    small = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "768Mi"}}}
    folder = tmp_path_factory.mktemp("values")
    with serving.inference(folder, replicas=2, progressDeadlineSeconds=40, **small) as reference:
        yield reference


@pytest.fixture
def kubeconfig(first, tmp_path):
    return serving.trainers_kubeconfig(tmp_path / "kubeconfig")


def rolled_out(models_folder: Path, kubeconfig: Path, registry: str = running.HERE) -> tuple[int, dict]:
    """Roll out the current bundle; return the exit code and what was logged of it."""
    process = serving.trainer(models_folder, kubeconfig, registry)
    output, _ = process.communicate(timeout=400)
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    found = [line for line in lines if "rollout" in line]
    assert found, output
    return process.returncode, found[-1]


def print_line(capsys: pytest.CaptureFixture[str], what: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{what}\n")


def served_digests() -> set[str]:
    """Return what each replica says it serves."""
    found = set()
    for pod in running.pods(platform.INFERENCE, "app.kubernetes.io/name=inference"):
        script = "import urllib.request as u;print(u.urlopen('http://127.0.0.1:8000/model').read().decode())"
        response = kubectl("-n", platform.INFERENCE, "exec", pod, "-c", "inference", "--", "python", "-c", script)
        found.add(json.loads(response)["model_digest"])
    return found


def test_a_good_model_reaches_every_replica_under_load_without_a_failed_call(first, kubeconfig, tmp_path, capsys):
    digest = models.bundle(tmp_path / "models", 0.7, created_at_ms=NOW_MS)
    with load_generator.under_load("load-for-good", seconds=100, threads=2):
        code, outcome = rolled_out(tmp_path / "models", kubeconfig)
        counted = load_generator.outcome("load-for-good", 180)
    print_line(capsys, f"a good model rolled out in {outcome['seconds']:.0f} s, watch included; {counted}")
    assert (code, outcome["rollout"]) == (0, "rolled_out"), outcome
    assert counted["calls"] > 100 and counted["failed"] == 0, counted
    assert serving.reference() == outcome["reference"] != first
    assert served_digests() == {digest}


def test_an_expired_model_is_rolled_back_without_a_failed_call(first, kubeconfig, tmp_path, capsys):
    before, digests = serving.reference(), served_digests()
    models.bundle(tmp_path / "models", 0.8, created_at_ms=NOW_MS - 2000, expires_at_ms=NOW_MS - 1000)
    with load_generator.under_load("load-for-bad", seconds=100, threads=1):
        code, outcome = rolled_out(tmp_path / "models", kubeconfig)
        counted = load_generator.outcome("load-for-bad", 180)
    print_line(capsys, f"an expired model was rolled back in {outcome['seconds']:.0f} s; {counted}")
    assert (code, outcome["rollout"]) == (ROLLED_BACK, "rolled_back"), outcome
    assert counted["failed"] == 0, counted
    assert serving.reference() == before
    assert served_digests() == digests


def test_a_digest_that_no_node_can_pull_is_rolled_back(first, kubeconfig, tmp_path, capsys):
    before, digests = serving.reference(), served_digests()
    models.bundle(tmp_path / "models", 0.9, created_at_ms=NOW_MS)
    # A registry that takes the image and is another than the one of the nodes.
    with on_a_socket(FakeRegistry()) as registry:
        code, outcome = rolled_out(tmp_path / "models", kubeconfig, registry)
    print_line(capsys, f"a missing digest was rolled back in {outcome['seconds']:.0f} s: {outcome['reason']}")
    assert (code, outcome["rollout"]) == (ROLLED_BACK, "rolled_back"), outcome
    assert serving.reference() == before
    assert served_digests() == digests


def test_a_trainer_that_is_killed_in_mid_roll_out_leaves_a_model_and_the_next_run_is_clean(
    first, kubeconfig, tmp_path, capsys
):
    before = serving.reference()
    models.bundle(tmp_path / "bad", 0.6, created_at_ms=NOW_MS - 2000, expires_at_ms=NOW_MS - 1000)
    killed = serving.trainer(tmp_path / "bad", kubeconfig)
    eventually(lambda: serving.reference() != before, "the reference is changed", 60)
    killed.kill()
    killed.communicate()
    shutil.rmtree(tmp_path / "bad")
    digest = models.bundle(tmp_path / "good", 0.65, created_at_ms=NOW_MS)
    started = time.monotonic()
    code, outcome = rolled_out(tmp_path / "good", kubeconfig)
    print_line(capsys, f"after a killed run the next took {time.monotonic() - started:.0f} s: {outcome['rollout']}")
    assert (code, outcome["rollout"]) == (0, "rolled_out"), outcome
    assert served_digests() == {digest}
