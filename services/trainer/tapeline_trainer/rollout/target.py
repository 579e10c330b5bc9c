"""Where models are served, and how a new one gets there: a folder on one machine, or a cluster.

Both say what is served and put another in its place. In a cluster: push, prove what was pushed, change the one
reference, wait, watch, and on anything that goes wrong put the old reference back. Only that reference is ours.

Killed anywhere: before the change nothing served has moved; after it the cluster's own controller goes on, old
replicas serve until new ones are ready, and the next run finds the roll-out whole or takes it back (`find`).
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

from tapeline_trainer.errors import ImageMissing, NoRegistry, NotOurs, ReferenceChanged, RolloutFailed, TrainerError
from tapeline_trainer.model import bundle
from tapeline_trainer.rollout import deployment, monitor
from tapeline_trainer.rollout.deployment import State
from tapeline_trainer.rollout.health import Service
from tapeline_trainer.rollout.registry import Registry
from tapeline_trainer.settings import Settings

if TYPE_CHECKING:
    from tapeline_trainer.rollout.kubernetes import Cluster

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a model.

    Attributes:
        rollout: `rolled_out`; `undone`: the old reference stands again; `unsettled`: it may not, a person must look;
            `not_attempted`: the cluster was not touched.
        reason: in words.
        is_served: whether the new model is.
        reference: of its image, None where there is none.
        seconds: it took.
    """

    rollout: Literal["rolled_out", "undone", "unsettled", "not_attempted"]
    reason: str
    is_served: bool
    reference: Reference | None = None
    seconds: float = 0.0


class Home(Protocol):
    """Where models are served."""

    def served(self) -> str | None:
        """Return the digest of the served model, which then lies in the folder of models; None where none is usable."""

    def serve(self, models: Path, digest: str) -> Outcome:
        """Have another bundle served."""


class Folder:
    """Models served from the folder they are written to: one atomic replacement."""

    def __init__(self, models: Path) -> None:
        self._models = models

    def served(self) -> str | None:
        """Return the digest that `current` names, None where inference would refuse it."""
        return bundle.usable_current(self._models)

    def serve(self, models: Path, digest: str) -> Outcome:
        """Make a bundle the current one."""
        model_bundle.promote(models, digest)
        return Outcome("not_attempted", "TRAINER_REGISTRY is not set: promoted in the folder", is_served=True)


def publish(registry: Registry, models: Path, digest: str) -> Reference:
    """Push a bundle as an image and prove what arrived: pulled by its digest, every check, golden rows included.

    Raises:
        RegistryFailed: the registry did not take it or did not give it back.
        BundleRefused: what came back is not a model that would be served.
    """
    reference = registry.push(oci_image.pack(models, digest), digest)
    with tempfile.TemporaryDirectory(prefix="tapeline-") as folder:
        back = registry.pull(reference.digest, Path(folder))
    if back != digest:
        raise BundleRefused("image", "bundle that was pushed", digest, f"the registry gave back {back}")
    _LOG.info("model image pushed", extra={"reference": str(reference), "digest": digest})
    return reference


class Fleet:
    """Models served by the Deployment of a cluster."""

    def __init__(self, registry: Registry, cluster: "Cluster", service: Service | None, settings: Settings) -> None:
        self._registry, self._cluster, self._service = registry, cluster, service
        self._settings = settings
        self._found: str | None = None

    def find(self) -> Reference:
        """Return the image that the Deployment serves, an unfinished roll-out ended or taken back.

        Raises:
            NotOurs: it is not one that a roll-out may replace.
            ClusterFailed: the API server did not answer within the retries.
            RolloutFailed: the Deployment did not stand again after a roll-out was taken back.
        """
        now = self._cluster.state()
        if deployment.is_unfinished(now):
            now = self._recover(now)
        self._found = now.reference
        try:
            reference = Reference.parse(now.reference)
        except BundleRefused as error:
            raise NotOurs("model image of the Deployment", now.reference, str(error)) from error
        ours = self._registry.reference(reference.digest)
        if reference != ours:
            rule = f"it must be {ours.registry}/{ours.repository}@sha256:...; push one with `seed` and install it"
            raise NotOurs("model image of the Deployment", now.reference, rule)
        return reference

    def _recover(self, now: State) -> State:
        """Wait for a roll-out that another run left, and take it back if it fails."""
        _LOG.warning("an unfinished roll-out was found", extra={"reference": now.reference})
        never = threading.Event()
        try:
            return monitor.settle(self._cluster, now.reference, self._settings, never, stale=now.changed_at)
        except RolloutFailed as error:
            document = self._cluster.read()
            other = deployment.served_beside(document, self._cluster.replica_sets(), self._settings.volume)
            if other is None:
                # No other model is being served, so the model is not what it fails of.
                return deployment.state(document, self._settings.volume)
            reference, digest = other
            _LOG.error("an unfinished roll-out is undone", extra={"reason": str(error), "reference": reference})
            self._cluster.change(deployment.state(document, self._settings.volume), reference, digest)
            return monitor.settle(self._cluster, reference, self._settings, never, is_return=True)

    def served(self) -> str | None:
        """Pull what the Deployment serves into the folder of models; return its digest, None where it is unusable.

        Raises:
            RegistryFailed: the registry did not answer within the retries.
            NotOurs, ClusterFailed, RolloutFailed: see `find`.
        """
        reference = self.find()
        try:
            return self._registry.pull(reference.digest, self._settings.models)
        except (ImageMissing, BundleRefused) as error:
            _LOG.warning(f"the served model is unusable: {error}", extra={"reference": str(reference)})
            return None

    def serve(self, models: Path, digest: str) -> Outcome:
        """Push a bundle and roll it out; whatever happens is said by the outcome.

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
            outcome = Outcome("not_attempted", str(error), is_served=False)
        return replace(outcome, reference=reference, seconds=round(time.monotonic() - started, 3))

    def roll_out(self, reference: Reference, digest: str) -> Outcome:
        """Have an image served that the registry already keeps.

        Args:
            reference: the image.
            digest: of the bundle in it.

        Raises:
            TrainerError: before anything was changed.
        """
        before = self._cluster.state()
        # What the new model was judged against, and what the change will insist on.
        monitor.demand(before, self._found or before.reference)
        new = str(reference)
        if before.reference == new:
            return Outcome("rolled_out", "this image was served already", is_served=True)
        with monitor.stopping() as stop:
            try:
                self._replace(before, new, digest, stop)
            except (TrainerError, BundleRefused) as error:
                return self._undo(before, new, str(error))
            except BaseException:
                # A mistake of this program, or Ctrl-C: the model must not stay unwatched either.
                self._undo(before, new, "this run broke off")
                raise
        return Outcome("rolled_out", "every replica serves it, and it was well under watch", is_served=True)

    def _replace(self, before: State, new: str, digest: str, stop: threading.Event) -> None:
        changed = self._cluster.change(before, new, digest)
        _LOG.info("model reference changed", extra={"before": before.reference, "after": new})
        stale = deployment.stale_until(changed)
        settled = monitor.settle(self._cluster, new, self._settings, stop, stale=stale)
        _LOG.info("rolled out, now watched", extra={"replicas": settled.available, "watch_s": self._settings.watch_s})
        monitor.watch(self._cluster, self._service, settled, digest, stop, self._settings)

    def _undo(self, before: State, new: str, reason: str) -> Outcome:
        """Put the old reference back and wait until it stands, if it stood before."""
        _LOG.error("roll-out is undone", extra={"reason": reason, "reference": before.reference})
        never = threading.Event()
        try:
            now = self._cluster.state()
            if now.reference == before.reference:
                return Outcome("not_attempted", reason, is_served=False)
            monitor.demand(now, new)
            self._cluster.change(now, before.reference, before.model_digest)
            if deployment.progress(before, None).phase == "done":
                monitor.settle(self._cluster, before.reference, self._settings, never, is_return=True)
        except ReferenceChanged as error:
            return Outcome("unsettled", f"{reason}; {error}", is_served=False)
        except TrainerError as error:
            return Outcome("unsettled", f"{reason}; and the old model does not stand again: {error}", is_served=False)
        return Outcome("undone", reason, is_served=False)


@contextmanager
def fleet(settings: Settings) -> Iterator[Fleet]:
    """Give the cluster that the settings name; it is asked on first use.

    Raises:
        NoRegistry: TRAINER_REGISTRY is not set.
        ClusterFailed: there are no credentials for the API server.
        OSError: a file of the registry's credentials cannot be read.
    """
    if settings.registry is None:
        raise NoRegistry
    # A second and 40 MB that a run without a cluster does not need.
    from tapeline_trainer.rollout.kubernetes import Cluster

    with ExitStack() as stack:
        registry = stack.enter_context(Registry(settings))
        cluster = stack.enter_context(Cluster(settings))
        url = settings.inference_url
        service = None if url is None else stack.enter_context(Service(url, settings))
        yield Fleet(registry, cluster, service, settings)


@contextmanager
def home(settings: Settings) -> Iterator[Home]:
    """Give the place where models are served: the cluster where a registry is set, else the folder."""
    if settings.registry is None:
        yield Folder(settings.models)
    else:
        with fleet(settings) as cluster:
            yield cluster
