"""What a Deployment says of a roll-out, and the one change that is made to it.

Pure: documents of the API server in, states and JSON patches out. cluster.py moves them, release.py decides.
The model's reference is kept in one of two places, and only there it is changed:

    the image volume                 /spec/template/spec/volumes/<i>/image/reference
    the annotation of the template   /spec/template/metadata/annotations/tapeline~1model-reference
                                     (where an init container fetches it, for want of image volumes)

To support another place: add it to `_place`.
Source of the order in `progress`: `rollout_status.go` of kubectl.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from tapeline_trainer.errors import NotOurs

Document = dict[str, Any]
FIELD_MANAGER: Final = "tapeline-trainer"
DIGEST_ANNOTATION: Final = "tapeline/model-digest"
REFERENCE_ANNOTATION: Final = "tapeline/model-reference"
_ANNOTATIONS: Final = "/spec/template/metadata/annotations"
_DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class State:
    """A Deployment as far as a roll-out goes.

    Attributes:
        reference: the model image its template names.
        path: JSON pointer to that reference.
        guard: JSON pointer and value that must hold for `path` to mean the same.
        model_digest: annotation of the template, None where there is none.
        annotated: whether the template has annotations at all.
        generation: of the specification.
        observed: the generation that the status speaks of.
        wanted: replicas asked for.
        replicas, updated, available: replicas there, with the current template, and ready for long enough.
        failed_at: lastUpdateTime of a ProgressDeadlineExceeded, None where there is none.
        failure: its message.
        changed_at: when this program last changed the Deployment, by the API server's clock.
    """

    reference: str
    path: str
    guard: tuple[str, str] | None
    model_digest: str | None
    annotated: bool
    generation: int
    observed: int
    wanted: int
    replicas: int
    updated: int
    available: int
    failed_at: datetime | None
    failure: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a roll-out is, and in words what it waits for or failed of."""

    phase: Literal["waiting", "failed", "done"]
    message: str


def state(deployment: Document, volume: str) -> State:
    """Read a Deployment.

    Args:
        deployment: document of the API server.
        volume: name of the image volume that holds the model.

    Raises:
        NotOurs: it names no model image in either place.
    """
    template, status = deployment["spec"]["template"], deployment.get("status", {})
    reference, path, guard = _place(template, volume)
    failed_at, failure = _failure(status.get("conditions", []))
    return State(
        reference=reference,
        path=path,
        guard=guard,
        model_digest=_annotations(template).get(DIGEST_ANNOTATION),
        annotated=template.get("metadata", {}).get("annotations") is not None,
        generation=int(deployment["metadata"]["generation"]),
        observed=int(status.get("observedGeneration", 0)),
        wanted=int(deployment["spec"].get("replicas", 1)),
        replicas=int(status.get("replicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        failed_at=failed_at,
        failure=failure,
        changed_at=_changed_at(deployment["metadata"].get("managedFields", [])),
    )


def _place(template: Document, volume: str) -> tuple[str, str, tuple[str, str] | None]:
    """Return the reference, the pointer to it and what guards the pointer."""
    for number, found in enumerate(template["spec"].get("volumes", [])):
        if found["name"] == volume and found.get("image", {}).get("reference"):
            path = f"/spec/template/spec/volumes/{number}"
            return found["image"]["reference"], f"{path}/image/reference", (f"{path}/name", volume)
    annotated = _annotations(template).get(REFERENCE_ANNOTATION)
    if annotated:
        return annotated, _annotation(REFERENCE_ANNOTATION), None
    raise NotOurs(
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


def change(old: State, reference: str, model_digest: str | None) -> list[Document]:
    """Return the JSON patch that puts another model image in the place of the one that `old` names.

    The API server applies all of it or nothing: where anybody changed the reference since, it refuses.

    Args:
        old: what was read.
        reference: the image to be served.
        model_digest: of the bundle in it; None takes the annotation away.
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
    if not old.annotated:
        return [*operations, {"op": "add", "path": _ANNOTATIONS, "value": {DIGEST_ANNOTATION: model_digest}}]
    return [*operations, {"op": "add", "path": path, "value": model_digest}]


def stale_until(changed: State) -> datetime | None:
    """Return up to when a failure is one of before a change, None where there was none.

    The controller leaves an old ProgressDeadlineExceeded standing for a moment after it has seen a new
    generation. Times are whole seconds of the cluster's own clocks; a new roll-out cannot fail within its first.

    Args:
        changed: what the API server answered to the change.
    """
    known = [time for time in (changed.failed_at, changed.changed_at) if time is not None]
    return max(known, default=None)


def progress(now: State, stale: datetime | None) -> Progress:
    """Return how far the roll-out of the current template is.

    Args:
        now: what the API server says.
        stale: failures of this time or before are of an earlier roll-out, see `stale_until`.
    """
    if now.observed < now.generation:
        return Progress("waiting", f"the controller to see generation {now.generation}")
    if now.failed_at is not None and (stale is None or now.failed_at > stale):
        return Progress("failed", now.failure or _DEADLINE_EXCEEDED)
    if now.updated < now.wanted:
        return Progress("waiting", f"{now.updated} of {now.wanted} replicas to be new")
    if now.replicas > now.updated:
        return Progress("waiting", f"{now.replicas - now.updated} old replicas to end")
    if now.available < now.updated:
        return Progress("waiting", f"{now.available} of {now.updated} new replicas to be available")
    return Progress("done", f"{now.available} replicas available")


def is_unfinished(now: State) -> bool:
    """Return whether replicas of an older template may still be there; unready ones of the newest do not count."""
    return now.observed < now.generation or now.updated < now.wanted or now.replicas > now.updated


def served_beside(deployment: Document, replica_sets: Iterable[Document], volume: str) -> tuple[str, str | None] | None:
    """Return the other model image that still has available replicas and its bundle's digest, as far as known.

    None where there is none.

    Of several templates the newest counts; the image that the Deployment itself names is not meant.

    Args:
        deployment: the owner.
        replica_sets: of its namespace; those of other owners are passed over.
        volume: name of the image volume.
    """
    own, uid = _place(deployment["spec"]["template"], volume)[0], deployment["metadata"]["uid"]
    for found in sorted(replica_sets, key=_revision, reverse=True):
        is_owned = any(owner["uid"] == uid for owner in found["metadata"].get("ownerReferences", []))
        if not is_owned or not found.get("status", {}).get("availableReplicas", 0):
            continue
        template = found["spec"]["template"]
        try:
            reference = _place(template, volume)[0]
        except NotOurs:
            continue
        if reference != own:
            return reference, _annotations(template).get(DIGEST_ANNOTATION)
    return None


def _annotations(template: Document) -> dict[str, str]:
    return template.get("metadata", {}).get("annotations") or {}


def _revision(replica_set: Document) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get("deployment.kubernetes.io/revision", 0))
