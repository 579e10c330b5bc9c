"""Kills the trainer between every two of its steps: the served model stays valid, and the next run succeeds."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.trainer.fake_platform import FakePlatform, fake_platform, verified_digest
from unit.trainer.fork_server import ForkServer, fork_server


@pytest.fixture(scope="module")
def trainers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with fork_server(tmp_path_factory.mktemp("fork-server")) as running:
        yield running


def roll_out(trainers: ForkServer, platform: FakePlatform, folder: str = "new") -> int:
    # One health sample: the number of requests must not depend on how fast the machine is.
    return trainers.run(["rollout-only"], platform.environment(models=str(platform.folder / folder), watch_s="0"))


def steps(platform: FakePlatform) -> list[int]:
    """Return the numbers of the requests after which another one follows; of equal requests in a row the last.

    The first is 0: killed before any request.
    """
    seen = [*platform.requests.seen, ""]
    return [0, *(number for number in range(1, len(seen)) if seen[number - 1] != seen[number])]


def kill_after(trainers: ForkServer, platform: FakePlatform, step: int) -> None:
    """Kill the trainer after the server has handled the n-th request, and before it responds."""

    def kill(number: int) -> None:
        if number == max(step, 1):
            os.kill(trainers.child, signal.SIGKILL)
            platform.requests.before = platform.requests.after = lambda _: None

    setattr(platform.requests, "after" if step else "before", kill)


def verified_model(platform: FakePlatform) -> str:
    """Verify every served model and the one that the Deployment names; return the digest of the latter."""
    for reference in platform.cluster.served:
        verified_digest(platform.registry, reference)
    return verified_digest(platform.registry, platform.cluster.reference)


def test_killed_at_any_step_of_a_good_roll_out(trainers: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    with fake_platform(tmp_path / "steps") as platform:
        platform.bundle()
        assert roll_out(trainers, platform) == 0
        found = steps(platform)
    assert len(found) > 18
    for step in found:
        folder = tmp_path / str(step)
        folder.mkdir()
        with fake_platform(folder) as platform:
            digest = platform.bundle()
            kill_after(trainers, platform, step)
            assert roll_out(trainers, platform) == -signal.SIGKILL, f"step {step}"
            assert verified_model(platform) in (platform.bootstrap_digest, digest)
            assert roll_out(trainers, platform) == 0, f"the run after step {step}: {trainers.last_log()}"
            assert platform.cluster.served == {platform.reference_of(digest)} == {platform.cluster.reference}


def test_killed_at_any_step_of_a_roll_out_that_is_rolled_back(trainers: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    with fake_platform(tmp_path / "steps") as platform:
        platform.cluster.broken.add(platform.reference_of(platform.bundle(0.9)))
        assert roll_out(trainers, platform) == 4
        changed = platform.requests.seen.index(
            "PATCH /apis/apps/v1/namespaces/tapeline-inference/deployments/inference"
        )
        found = [step for step in steps(platform) if step >= changed]
    assert len(found) >= 4
    for step in found:
        folder = tmp_path / str(step)
        folder.mkdir()
        with fake_platform(folder) as platform:
            platform.cluster.broken.add(platform.reference_of(platform.bundle(0.9)))
            kill_after(trainers, platform, step)
            assert roll_out(trainers, platform) == -signal.SIGKILL, f"step {step}"
            assert platform.cluster.served == {platform.bootstrap_reference}
            good = platform.bundle(0.75)
            assert roll_out(trainers, platform) == 0, f"the run after step {step}: {trainers.last_log()}"
            assert platform.cluster.served == {platform.reference_of(good)} == {platform.cluster.reference}


def test_sigterm_before_the_change_ends_the_run(trainers: ForkServer, tmp_path: Path) -> None:
    with fake_platform(tmp_path) as platform:
        platform.bundle()

        def end(number: int) -> None:
            if number == 3:
                os.kill(trainers.child, signal.SIGTERM)
                # The signal goes to another process; the response must not overtake it.
                time.sleep(0.2)

        platform.requests.before = end
        assert roll_out(trainers, platform) == 128 + signal.SIGTERM
        assert not platform.cluster.patches


def test_sigterm_while_monitoring_rolls_back_and_ends_with_code_4(trainers: ForkServer, tmp_path: Path) -> None:
    with fake_platform(tmp_path) as platform:
        platform.bundle()
        ended = []

        def end(_: int) -> None:
            if platform.requests.seen[-1] == "GET /model" and not ended:
                ended.append(os.kill(trainers.child, signal.SIGTERM))

        platform.requests.before = end
        environment = platform.environment(models=str(platform.folder / "new"), watch_s="60")
        assert trainers.run(["rollout-only"], environment) == 4
        assert "rolled_back" in trainers.last_log()["message"] and "SIGTERM" in trainers.last_log()["message"]
        assert platform.cluster.served == {platform.bootstrap_reference}
