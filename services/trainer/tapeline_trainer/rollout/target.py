"""Deploys a model to where it is served: a folder on one machine, or a Deployment of a cluster.

Both targets name the served model and can replace it. In a cluster: push, verify what was pushed, change the one
reference, wait, monitor, and on any failure roll back to the old reference. The trainer changes only that reference.

Killed anywhere: before the change the served model is the old one; after it the controller of the cluster goes on, old
replicas serve until new ones are ready, and the next run completes the roll-out or rolls it back
(`find_served_image`).
"""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tapeline.model import bundle as model_bundle
from tapeline.model import oci_image
from tapeline.model.bundle import BundleRefused
from tapeline.model.oci_image import Reference

from tapeline_trainer.errors import (
    ImageMissing,
    NoRegistry,
    ReferenceChanged,
    RolloutFailed,
    TrainerError,
    UnmanagedReference,
)
from tapeline_trainer.model import bundle
from tapeline_trainer.rollout import deployment, monitor
from tapeline_trainer.rollout.deployment import DeploymentState
from tapeline_trainer.rollout.health import InferenceService
from tapeline_trainer.rollout.registry import Registry
from tapeline_trainer.settings import Settings

if TYPE_CHECKING:
    from tapeline_trainer.rollout.kubernetes import DeploymentClient

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RolloutOutcome:
    """Result of a roll-out.

    Attributes:
        rollout: `rolled_out`; `rolled_back`: the old reference is served again; `rollback_failed`: it may not be, a
            person must check; `not_attempted`: the cluster was not changed.
        reason: in words.
        is_served: whether the new model is.
        reference: of its image, None where there is none.
        seconds: duration.
    """

    rollout: Literal["rolled_out", "rolled_back", "rollback_failed", "not_attempted"]
    reason: str
    is_served: bool
    reference: Reference | None = None
    seconds: float = 0.0


class ServingTarget(Protocol):
    """Where models are served."""

    def served_digest(self) -> str | None:
        """Return the digest of the served model, None where none is usable. The folder of models then holds it."""

    def deploy(self, models: Path, digest: str) -> RolloutOutcome:
        """Replace the served model by a bundle of a folder."""


class FolderTarget:
    """Serves models from the folder they are written to: one atomic replacement."""

    def __init__(self, models: Path) -> None:
        self._models = models

    def served_digest(self) -> str | None:
        """Return the digest that `current` names, None where inference would refuse it."""
        return bundle.usable_current(self._models)

    def deploy(self, models: Path, digest: str) -> RolloutOutcome:
        """Make a bundle the current one."""
        model_bundle.promote(models, digest)
        return RolloutOutcome("not_attempted", "TRAINER_REGISTRY is not set: promoted in the folder", is_served=True)


def publish(registry: Registry, models: Path, digest: str) -> Reference:
    """Push a bundle as an image, pull it by its digest, and verify it with every check, golden rows included.

    Raises:
        RegistryFailed: the push or the pull failed.
        BundleRefused: the pulled image is not a model that inference would serve.
    """
    reference = registry.push(oci_image.pack(models, digest), digest)
    with tempfile.TemporaryDirectory(prefix="tapeline-") as folder:
        pulled = registry.pull(reference.digest, Path(folder))
    if pulled != digest:
        raise BundleRefused("image", "bundle that was pushed", digest, f"the pulled bundle was {pulled}")
    _LOG.info("model image pushed", extra={"reference": str(reference), "digest": digest})
    return reference


class KubernetesTarget:
    """Serves models by the Deployment of a cluster."""

    def __init__(
        self, registry: Registry, client: "DeploymentClient", service: InferenceService | None, settings: Settings
    ) -> None:
        self._registry, self._client, self._service = registry, client, service
        self._settings = settings
        self._found: str | None = None

    def find_served_image(self) -> Reference:
        """Return the image that the Deployment serves, after an unfinished roll-out is completed or rolled back.

        Raises:
            UnmanagedReference: it is not one that a roll-out may replace.
            ClusterFailed: the API server did not respond within the retries.
            RolloutFailed: the Deployment was not ready after an unfinished roll-out was rolled back.
        """
        state = self._client.read_state()
        if deployment.is_unfinished(state):
            state = self._finish_rollout(state)
        self._found = state.reference
        try:
            reference = Reference.parse(state.reference)
        except BundleRefused as error:
            raise UnmanagedReference("model image of the Deployment", state.reference, str(error)) from error
        ours = self._registry.reference(reference.digest)
        if reference != ours:
            rule = (
                f"it must be {ours.registry}/{ours.repository}@sha256:...; push one with `bootstrap-model`, install it"
            )
            raise UnmanagedReference("model image of the Deployment", state.reference, rule)
        return reference

    def _finish_rollout(self, state: DeploymentState) -> DeploymentState:
        """Wait for a roll-out that another run left, and roll it back if it fails."""
        _LOG.warning("found an unfinished roll-out", extra={"reference": state.reference})
        never = threading.Event()
        try:
            return monitor.wait_ready(self._client, state.reference, self._settings, never, stale=state.changed_at)
        except RolloutFailed as error:
            document = self._client.read()
            other = deployment.other_served_image(document, self._client.list_replica_sets(), self._settings.volume)
            if other is None:
                # No other model is served, so the model is not why the roll-out fails.
                return deployment.parse_state(document, self._settings.volume)
            reference, digest = other
            _LOG.error("rolling back an unfinished roll-out", extra={"reason": str(error), "reference": reference})
            self._client.patch_model(deployment.parse_state(document, self._settings.volume), reference, digest)
            return monitor.wait_ready(self._client, reference, self._settings, never, is_rollback=True)

    def served_digest(self) -> str | None:
        """Pull what the Deployment serves into the folder of models. Return its digest, None where it is unusable.

        Raises:
            RegistryFailed: the registry did not respond within the retries.
            UnmanagedReference, ClusterFailed, RolloutFailed: see `find_served_image`.
        """
        reference = self.find_served_image()
        try:
            return self._registry.pull(reference.digest, self._settings.models)
        except (ImageMissing, BundleRefused) as error:
            _LOG.warning(f"served model is unusable: {error}", extra={"reference": str(reference)})
            return None

    def deploy(self, models: Path, digest: str) -> RolloutOutcome:
        """Push a bundle and roll it out. The outcome holds any failure.

        Args:
            models: folder of all bundles.
            digest: the bundle.
        """
        started = time.monotonic()
        reference = None
        try:
            reference = publish(self._registry, models, digest)
            outcome = self.roll_out(reference, digest)
        except (TrainerError, BundleRefused, OSError) as error:
            outcome = RolloutOutcome("not_attempted", str(error), is_served=False)
        return replace(outcome, reference=reference, seconds=round(time.monotonic() - started, 3))

    def roll_out(self, reference: Reference, digest: str) -> RolloutOutcome:
        """Roll out an image that the registry already has.

        Args:
            reference: the image.
            digest: of the bundle in it.

        Raises:
            TrainerError: before anything was changed.
        """
        before = self._client.read_state()
        # The model that the new one was compared with, which the patch tests for.
        monitor.require_reference(before, self._found or before.reference)
        new = str(reference)
        if before.reference == new:
            return RolloutOutcome("rolled_out", "this image was served already", is_served=True)
        with monitor.event_on_sigterm() as stop:
            try:
                self._replace(before, new, digest, stop)
            except (TrainerError, BundleRefused) as error:
                return self._roll_back(before, new, str(error))
            except BaseException:
                # A bug or Ctrl-C: here too the model must not stay unmonitored.
                self._roll_back(before, new, "this run was interrupted")
                raise
        return RolloutOutcome("rolled_out", "every replica serves it, and monitoring found no problem", is_served=True)

    def _replace(self, before: DeploymentState, new: str, digest: str, stop: threading.Event) -> None:
        changed = self._client.patch_model(before, new, digest)
        _LOG.info("model reference changed", extra={"before": before.reference, "after": new})
        stale = deployment.stale_until(changed)
        ready = monitor.wait_ready(self._client, new, self._settings, stop, stale=stale)
        _LOG.info("rolled out; monitoring", extra={"replicas": ready.available, "watch_s": self._settings.watch_s})
        monitor.observe(self._client, self._service, ready, digest, stop, self._settings)

    def _roll_back(self, before: DeploymentState, new: str, reason: str) -> RolloutOutcome:
        """Restore the old reference, and wait until it is ready if it was ready before."""
        _LOG.error("rolling back", extra={"reason": reason, "reference": before.reference})
        never = threading.Event()
        try:
            state = self._client.read_state()
            if state.reference == before.reference:
                return RolloutOutcome("not_attempted", reason, is_served=False)
            monitor.require_reference(state, new)
            self._client.patch_model(state, before.reference, before.model_digest)
            if deployment.progress(before, None).phase == "done":
                monitor.wait_ready(self._client, before.reference, self._settings, never, is_rollback=True)
        except ReferenceChanged as error:
            return RolloutOutcome("rollback_failed", f"{reason}; {error}", is_served=False)
        except TrainerError as error:
            message = f"{reason}; and the old model is not ready again: {error}"
            return RolloutOutcome("rollback_failed", message, is_served=False)
        return RolloutOutcome("rolled_back", reason, is_served=False)


@contextmanager
def open_kubernetes_target(settings: Settings) -> Iterator[KubernetesTarget]:
    """Yield the cluster that the settings name; it connects on first use.

    Raises:
        NoRegistry: TRAINER_REGISTRY is not set.
        ClusterFailed: there are no credentials for the API server.
        OSError: a file of the registry's credentials cannot be read.
    """
    if settings.registry is None:
        raise NoRegistry
    # A second and 40 MB that a run without a cluster does not need.
    from tapeline_trainer.rollout.kubernetes import DeploymentClient

    with ExitStack() as stack:
        registry = stack.enter_context(Registry(settings))
        client = stack.enter_context(DeploymentClient(settings))
        url = settings.inference_url
        service = None if url is None else stack.enter_context(InferenceService(url, settings))
        yield KubernetesTarget(registry, client, service, settings)


@contextmanager
def open_target(settings: Settings) -> Iterator[ServingTarget]:
    """Yield where models are served: the cluster where a registry is set, else the folder."""
    if settings.registry is None:
        yield FolderTarget(settings.models)
    else:
        with open_kubernetes_target(settings) as serving:
            yield serving
