"""Waiting for a roll-out to be whole, and looking after the new model for a while: both end well or raise.

The loops only; what a state means is said in rollout.py, what the service answers in watch.py.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from signal import SIGTERM, signal
from typing import TYPE_CHECKING

from tapeline.service.signals import event_setter

from tapeline_trainer.errors import ReferenceChanged, RolloutFailed
from tapeline_trainer.rollout import deployment
from tapeline_trainer.rollout.deployment import State
from tapeline_trainer.rollout.health import Look, Service
from tapeline_trainer.settings import Settings

if TYPE_CHECKING:
    from tapeline_trainer.rollout.kubernetes import Cluster


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that SIGTERM sets, in place of what SIGTERM did: a change half made must be taken back first."""
    stop = threading.Event()
    before = signal(SIGTERM, event_setter(stop))
    try:
        yield stop
    finally:
        signal(SIGTERM, before)


def demand(now: State, reference: str) -> None:
    """Demand that the Deployment names a model image.

    Raises:
        ReferenceChanged: it names another.
    """
    if now.reference != reference:
        raise ReferenceChanged(now.reference, reference)


def settle(
    cluster: "Cluster",
    reference: str,
    settings: Settings,
    stop: threading.Event,
    *,
    stale: datetime | None = None,
    is_return: bool = False,
) -> State:
    """Wait until every replica is of the current template and available; return the Deployment then.

    Args:
        cluster: asked again and again.
        reference: the model image it must name all the while.
        settings: limits.
        stop: ends the wait.
        stale: see `rollout.stale_until`.
        is_return: to what was served before: there is nothing better to try, so the wait goes on where the cluster
            gives up, which is a message and stops nothing there.

    Raises:
        RolloutFailed: the cluster gave up, it took too long, or `stop` was set.
        ReferenceChanged: somebody else changed the model.
        ClusterFailed: the API server did not answer within the retries.
    """
    deadline = time.monotonic() + settings.rollout_timeout_s
    while True:
        now = cluster.state()
        demand(now, reference)
        how = deployment.progress(now, stale)
        if how.phase == "done":
            return now
        if how.phase == "failed" and not is_return:
            raise RolloutFailed("roll-out", "given up by the cluster", how.message)
        if time.monotonic() > deadline:
            rule = f"{settings.rollout_timeout_s:g} s is the most (TRAINER_ROLLOUT_TIMEOUT_S)"
            raise RolloutFailed("roll-out", f"still waiting for {how.message}", rule)
        _pause(stop, settings.poll_s)


def _pause(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise RolloutFailed("this run", "told to end (SIGTERM)", "a model is not left unwatched")


def watch(
    cluster: "Cluster", service: Service | None, settled: State, digest: str, stop: threading.Event, settings: Settings
) -> None:
    """Look after a new model for TRAINER_WATCH_S, and on until the last look is a good one.

    Args:
        cluster: its replicas must stay available.
        service: must answer with the new model and without failures; None is not asked.
        settled: the Deployment when the roll-out was done.
        digest: of the new model.
        stop: ends the watch.
        settings: limits.

    Raises:
        RolloutFailed: it looked wrong for too long, too many requests failed, or `stop` was set.
        ReferenceChanged: somebody else changed the model.
        ClusterFailed: the API server did not answer within the retries.
    """
    begun = well = time.monotonic()
    while True:
        look = _look(cluster, service, settled, digest)
        now = time.monotonic()
        if look.wrong is None:
            well = now
            if now - begun >= settings.watch_s:
                return
        elif look.is_final or now - well > settings.watch_tolerance_s:
            raise RolloutFailed("new model", "wrong under watch", look.wrong)
        _pause(stop, settings.poll_s)


def _look(cluster: "Cluster", service: Service | None, settled: State, digest: str) -> Look:
    now = cluster.state()
    demand(now, settled.reference)
    # Replicas that an autoscaler adds meanwhile may take their time.
    needed = min(settled.wanted, now.wanted)
    if now.available < needed:
        return Look(f"{now.available} of {needed} replicas were available")
    return Look(None) if service is None else service.look(digest)
