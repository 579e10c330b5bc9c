"""The trainer killed between every two of its steps: what is served stays whole, and the next run is clean."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.trainer.killed import Nursery, nursery
from unit.trainer.platform import Platform, platform, provable


@pytest.fixture(scope="module")
def trainers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("nursery")) as running:
        yield running


def roll_out(trainers: Nursery, made: Platform, folder: str = "new") -> int:
    # One look under watch: the number of requests must not depend on how fast the machine is.
    return trainers.run(["rollout-only"], made.environment(models=str(made.folder / folder), watch_s="0"))


def steps(made: Platform) -> list[int]:
    """Numbers of the requests after which another one follows; of looks in a row the last.

    The first is 0: killed before it asked for anything.
    """
    seen = [*made.requests.seen, ""]
    return [0, *(number for number in range(1, len(seen)) if seen[number - 1] != seen[number])]


def kill_after(trainers: Nursery, made: Platform, step: int) -> None:
    """Have the trainer killed when the server has done what the n-th request asks, and before it answers."""

    def kill(number: int) -> None:
        if number == max(step, 1):
            os.kill(trainers.child, signal.SIGKILL)
            made.requests.before = made.requests.after = lambda _: None

    setattr(made.requests, "after" if step else "before", kill)


def whole(made: Platform) -> str:
    """Everything that answers is a model that proves itself, and so is what the Deployment names; return that."""
    for reference in made.cluster.served:
        provable(made.registry, reference)
    return provable(made.registry, made.cluster.reference)


def test_killed_at_any_step_of_a_good_roll_out(trainers: Nursery, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    with platform(tmp_path / "steps") as made:
        made.bundle()
        assert roll_out(trainers, made) == 0
        found = steps(made)
    assert len(found) > 18
    for step in found:
        folder = tmp_path / str(step)
        folder.mkdir()
        with platform(folder) as made:
            digest = made.bundle()
            kill_after(trainers, made, step)
            assert roll_out(trainers, made) == -signal.SIGKILL, f"step {step}"
            assert whole(made) in (made.seed, digest)
            assert roll_out(trainers, made) == 0, f"the run after step {step}: {trainers.said()}"
            assert made.cluster.served == {made.reference_of(digest)} == {made.cluster.reference}


def test_killed_at_any_step_of_a_roll_out_that_is_undone(trainers: Nursery, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    with platform(tmp_path / "steps") as made:
        made.cluster.broken.add(made.reference_of(made.bundle(0.9)))
        assert roll_out(trainers, made) == 4
        changed = made.requests.seen.index("PATCH /apis/apps/v1/namespaces/tapeline-inference/deployments/inference")
        found = [step for step in steps(made) if step >= changed]
    assert len(found) >= 4
    for step in found:
        folder = tmp_path / str(step)
        folder.mkdir()
        with platform(folder) as made:
            made.cluster.broken.add(made.reference_of(made.bundle(0.9)))
            kill_after(trainers, made, step)
            assert roll_out(trainers, made) == -signal.SIGKILL, f"step {step}"
            assert made.cluster.served == {made.seed_reference}
            good = made.bundle(0.75)
            assert roll_out(trainers, made) == 0, f"the run after step {step}: {trainers.said()}"
            assert made.cluster.served == {made.reference_of(good)} == {made.cluster.reference}


def test_told_to_end_before_the_change_it_just_ends(trainers: Nursery, tmp_path: Path) -> None:
    with platform(tmp_path) as made:
        made.bundle()

        def end(number: int) -> None:
            if number == 3:
                os.kill(trainers.child, signal.SIGTERM)
                # The signal is on its way to another process; the answer must not overtake it.
                time.sleep(0.2)

        made.requests.before = end
        assert roll_out(trainers, made) == 128 + signal.SIGTERM
        assert not made.cluster.patches


def test_told_to_end_under_watch_it_undoes_and_ends_with_code_4(trainers: Nursery, tmp_path: Path) -> None:
    with platform(tmp_path) as made:
        made.bundle()
        ended = []

        def end(_: int) -> None:
            if made.requests.seen[-1] == "GET /model" and not ended:
                ended.append(os.kill(trainers.child, signal.SIGTERM))

        made.requests.before = end
        environment = made.environment(models=str(made.folder / "new"), watch_s="60")
        assert trainers.run(["rollout-only"], environment) == 4
        assert "undone" in trainers.said()["message"] and "SIGTERM" in trainers.said()["message"]
        assert made.cluster.served == {made.seed_reference}
