"""Waits for a roll-out to complete, then monitors the new model. Raises if either fails.

The loops only: deployment.py interprets a Deployment, health.py interprets the inference service.
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
from tapeline_trainer.rollout.deployment import DeploymentState
from tapeline_trainer.rollout.health import HealthSample, InferenceService
from tapeline_trainer.settings import Settings

if TYPE_CHECKING:
    from tapeline_trainer.rollout.kubernetes import DeploymentClient


@contextmanager
def event_on_sigterm() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets instead of ending the process: a started change must be rolled back first."""
    stop = threading.Event()
    before = signal(SIGTERM, event_setter(stop))
    try:
        yield stop
    finally:
        signal(SIGTERM, before)


def require_reference(state: DeploymentState, reference: str) -> None:
    """Check that the Deployment names a model image.

    Raises:
        ReferenceChanged: it names another.
    """
    if state.reference != reference:
        raise ReferenceChanged(state.reference, reference)


def wait_ready(
    client: "DeploymentClient",
    reference: str,
    settings: Settings,
    stop: threading.Event,
    *,
    stale: datetime | None = None,
    is_rollback: bool = False,
) -> DeploymentState:
    """Wait until every replica has the current template and is available. Return the Deployment's state then.

    Args:
        client: reads the Deployment every `settings.poll_s`.
        reference: the model image that the Deployment must name all the while.
        settings: limits.
        stop: ends the wait.
        stale: see `deployment.stale_until`.
        is_rollback: the reference was served before. There is nothing better to try, so the wait goes on after
            ProgressDeadlineExceeded, which is only a condition: the controller does not stop.

    Raises:
        RolloutFailed: the deadline was exceeded, here or in the cluster, or `stop` was set.
        ReferenceChanged: somebody else changed the model.
        ClusterFailed: the API server did not respond within the retries.
    """
    deadline = time.monotonic() + settings.rollout_timeout_s
    while True:
        state = client.read_state()
        require_reference(state, reference)
        progress = deployment.progress(state, stale)
        if progress.phase == "done":
            return state
        if progress.phase == "failed" and not is_rollback:
            raise RolloutFailed("roll-out", "given up by the cluster", progress.message)
        if time.monotonic() > deadline:
            rule = f"{settings.rollout_timeout_s:g} s is the most (TRAINER_ROLLOUT_TIMEOUT_S)"
            raise RolloutFailed("roll-out", f"still waiting for {progress.message}", rule)
        _pause(stop, settings.poll_s)


def _pause(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise RolloutFailed("this run", "ended by SIGTERM", "a new model must not stay unmonitored")


def observe(
    client: "DeploymentClient",
    service: InferenceService | None,
    ready: DeploymentState,
    digest: str,
    stop: threading.Event,
    settings: Settings,
) -> None:
    """Monitor a new model for TRAINER_WATCH_S, and on until the last sample is healthy.

    Args:
        client: reads the Deployment, whose replicas must stay available.
        service: must serve the new model without failures; None checks the replicas only.
        ready: the Deployment when the roll-out was complete.
        digest: of the new model.
        stop: ends the monitoring.
        settings: limits.

    Raises:
        RolloutFailed: samples were unhealthy for too long, too many requests failed, or `stop` was set.
        ReferenceChanged: somebody else changed the model.
        ClusterFailed: the API server did not respond within the retries.
    """
    started = healthy_at = time.monotonic()
    while True:
        sample = _sample(client, service, ready, digest)
        now = time.monotonic()
        if sample.problem is None:
            healthy_at = now
            if now - started >= settings.watch_s:
                return
        elif sample.is_fatal or now - healthy_at > settings.watch_tolerance_s:
            raise RolloutFailed("new model", "unhealthy", sample.problem)
        _pause(stop, settings.poll_s)


def _sample(
    client: "DeploymentClient", service: InferenceService | None, ready: DeploymentState, digest: str
) -> HealthSample:
    state = client.read_state()
    require_reference(state, ready.reference)
    # Replicas that an autoscaler adds meanwhile are not required.
    required = min(ready.desired, state.desired)
    if state.available < required:
        return HealthSample(f"{state.available} of {required} replicas were available")
    return HealthSample(None) if service is None else service.sample(digest)
