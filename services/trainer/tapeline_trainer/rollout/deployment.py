"""Parses the roll-out state of a Deployment, and builds the one patch that changes its model.

Pure: documents of the API server in, states and JSON patches out. kubernetes.py sends them, target.py decides.
The model's reference is in one of two places, and is changed only there:

    the image volume                 /spec/template/spec/volumes/<i>/image/reference
    the annotation of the template   /spec/template/metadata/annotations/tapeline~1model-reference
                                     (an init container fetches it where there are no image volumes)

To support another place: add it to `_find_reference`.
Source of the order in `progress`: `rollout_status.go` of kubectl.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from tapeline_trainer.errors import UnmanagedReference

Document = dict[str, Any]
FIELD_MANAGER: Final = "tapeline-trainer"
DIGEST_ANNOTATION: Final = "tapeline/model-digest"
REFERENCE_ANNOTATION: Final = "tapeline/model-reference"
_ANNOTATIONS: Final = "/spec/template/metadata/annotations"
_DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """Roll-out state of a Deployment.

    Attributes:
        reference: the model image its template names.
        path: JSON pointer to that reference.
        guard: JSON pointer and value that must hold for `path` to mean the same.
        model_digest: annotation of the template, None where there is none.
        has_annotations: whether the template has annotations at all.
        generation: of the specification.
        observed: generation of the status.
        desired: replicas in the specification.
        replicas, updated, available: existing replicas, those of the current template, those ready for long enough.
        failed_at: lastUpdateTime of a ProgressDeadlineExceeded, None where there is none.
        failure: its message.
        changed_at: when the trainer last changed the Deployment, by the API server's clock.
    """

    reference: str
    path: str
    guard: tuple[str, str] | None
    model_digest: str | None
    has_annotations: bool
    generation: int
    observed: int
    desired: int
    replicas: int
    updated: int
    available: int
    failed_at: datetime | None
    failure: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Phase of a roll-out, and in words what it waits for or why it failed."""

    phase: Literal["waiting", "failed", "done"]
    message: str


def parse_state(deployment: Document, volume: str) -> DeploymentState:
    """Parse a Deployment.

    Args:
        deployment: document of the API server.
        volume: name of the image volume that holds the model.

    Raises:
        UnmanagedReference: it names no model image in either place.
    """
    template, status = deployment["spec"]["template"], deployment.get("status", {})
    reference, path, guard = _find_reference(template, volume)
    failed_at, failure = _failure(status.get("conditions", []))
    return DeploymentState(
        reference=reference,
        path=path,
        guard=guard,
        model_digest=_annotations(template).get(DIGEST_ANNOTATION),
        has_annotations=template.get("metadata", {}).get("annotations") is not None,
        generation=int(deployment["metadata"]["generation"]),
        observed=int(status.get("observedGeneration", 0)),
        desired=int(deployment["spec"].get("replicas", 1)),
        replicas=int(status.get("replicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        failed_at=failed_at,
        failure=failure,
        changed_at=_changed_at(deployment["metadata"].get("managedFields", [])),
    )


def _find_reference(template: Document, volume: str) -> tuple[str, str, tuple[str, str] | None]:
    """Return the reference, the pointer to it and what guards the pointer."""
    for number, found in enumerate(template["spec"].get("volumes", [])):
        if found["name"] == volume and found.get("image", {}).get("reference"):
            path = f"/spec/template/spec/volumes/{number}"
            return found["image"]["reference"], f"{path}/image/reference", (f"{path}/name", volume)
    annotation = _annotations(template).get(REFERENCE_ANNOTATION)
    if annotation:
        return annotation, _annotation(REFERENCE_ANNOTATION), None
    raise UnmanagedReference(
        "place of the model in the Deployment",
        f"neither an image volume {volume!r} nor the annotation {REFERENCE_ANNOTATION}",
        "it must be one of them; install the chart with inference.model.delivery=image-volume or init-container",
    )


def _annotation(name: str) -> str:
    return f"{_ANNOTATIONS}/{name.replace('~', '~0').replace('/', '~1')}"


def _failure(conditions: Iterable[Document]) -> tuple[datetime | None, str]:
    for condition in conditions:
        if condition["type"] == "Progressing" and condition.get("reason") == _DEADLINE_EXCEEDED:
            return _time(condition["lastUpdateTime"]), str(condition.get("message", ""))
    return None, ""


def _changed_at(fields: Iterable[Document]) -> datetime | None:
    ours = [_time(entry["time"]) for entry in fields if entry.get("manager") == FIELD_MANAGER and "time" in entry]
    return max(ours, default=None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def build_patch(old: DeploymentState, reference: str, model_digest: str | None) -> list[Document]:
    """Return the JSON patch that replaces the model image that `old` names by another.

    The API server applies all of it or nothing: it refuses where the reference was changed since.

    Args:
        old: what was read.
        reference: the image to be served.
        model_digest: of the bundle in it; None removes the annotation.
    """
    guards = [{"op": "test", "path": old.guard[0], "value": old.guard[1]}] if old.guard else []
    operations = [
        *guards,
        {"op": "test", "path": old.path, "value": old.reference},
        {"op": "replace", "path": old.path, "value": reference},
    ]
    path = _annotation(DIGEST_ANNOTATION)
    if model_digest is None:
        removal = [{"op": "remove", "path": path}] if old.model_digest is not None else []
        return [*operations, *removal]
    if not old.has_annotations:
        return [*operations, {"op": "add", "path": _ANNOTATIONS, "value": {DIGEST_ANNOTATION: model_digest}}]
    return [*operations, {"op": "add", "path": path, "value": model_digest}]


def stale_until(changed: DeploymentState) -> datetime | None:
    """Return the time up to which a failure is older than a change, None where there is none.

    The controller keeps an old ProgressDeadlineExceeded for a moment after it has observed a new
    generation. Times are whole seconds of the cluster's own clocks; a new roll-out cannot fail within its first.

    Args:
        changed: response of the API server to the change.
    """
    known = [time for time in (changed.failed_at, changed.changed_at) if time is not None]
    return max(known, default=None)


def progress(state: DeploymentState, stale: datetime | None) -> Progress:
    """Return the progress of the roll-out of the current template.

    Args:
        state: of the Deployment state.
        stale: failures of this time or before belong to an earlier roll-out, see `stale_until`.
    """
    if state.observed < state.generation:
        return Progress("waiting", f"the controller to observe generation {state.generation}")
    if state.failed_at is not None and (stale is None or state.failed_at > stale):
        return Progress("failed", state.failure or _DEADLINE_EXCEEDED)
    if state.updated < state.desired:
        return Progress("waiting", f"{state.updated} of {state.desired} replicas to be new")
    if state.replicas > state.updated:
        return Progress("waiting", f"{state.replicas - state.updated} old replicas to end")
    if state.available < state.updated:
        return Progress("waiting", f"{state.available} of {state.updated} new replicas to be available")
    return Progress("done", f"{state.available} replicas available")


def is_unfinished(state: DeploymentState) -> bool:
    """Return whether replicas of an older template may still exist. Unready ones of the newest do not count."""
    return state.observed < state.generation or state.updated < state.desired or state.replicas > state.updated


def other_served_image(
    deployment: Document, replica_sets: Iterable[Document], volume: str
) -> tuple[str, str | None] | None:
    """Return another model image with available replicas, and its bundle's digest if known; None without one.

    The image that the Deployment itself names is excluded. Of several templates the newest counts.

    Args:
        deployment: the owner.
        replica_sets: of its namespace; those of other owners are ignored.
        volume: name of the image volume.
    """
    own, uid = _find_reference(deployment["spec"]["template"], volume)[0], deployment["metadata"]["uid"]
    for found in sorted(replica_sets, key=_revision, reverse=True):
        is_owned = any(owner["uid"] == uid for owner in found["metadata"].get("ownerReferences", []))
        if not is_owned or not found.get("status", {}).get("availableReplicas", 0):
            continue
        template = found["spec"]["template"]
        try:
            reference = _find_reference(template, volume)[0]
        except UnmanagedReference:
            continue
        if reference != own:
            return reference, _annotations(template).get(DIGEST_ANNOTATION)
    return None


def _annotations(template: Document) -> dict[str, str]:
    return template.get("metadata", {}).get("annotations") or {}


def _revision(replica_set: Document) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get("deployment.kubernetes.io/revision", 0))
