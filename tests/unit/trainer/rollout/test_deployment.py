from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tapeline_trainer.errors import UnmanagedReference
from tapeline_trainer.rollout import deployment as rollout
from tapeline_trainer.rollout.deployment import DeploymentState

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NO_ANNOTATION = "/spec/template/metadata/annotations"


def deployment(**changes: Any) -> dict[str, Any]:
    """A Deployment of three replicas at rest, some parts changed."""
    parts: dict[str, Any] = {
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "model", "image": {"reference": "r@old"}}],
        "annotations": {"tapeline/model-digest": "old"},
        "status": {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
        "spec": {"replicas": 3},
        "managed": [],
    } | changes
    template = {"metadata": {"annotations": parts["annotations"]}, "spec": {"volumes": parts["volumes"]}}
    return {
        "metadata": {"uid": "u", "generation": 4, "managedFields": parts["managed"]},
        "spec": {**parts["spec"], "template": template},
        "status": parts["status"],
    }


def state(**changes: Any) -> DeploymentState:
    return rollout.parse_state(deployment(**changes), "model")


def status(observed: int, replicas: int, updated: int, available: int, *conditions: dict[str, Any]) -> dict[str, Any]:
    counts = {"replicas": replicas, "updatedReplicas": updated, "availableReplicas": available}
    # The API server leaves zeros out.
    return {"observedGeneration": observed, **{n: c for n, c in counts.items() if c}, "conditions": list(conditions)}


def exceeded(at: datetime) -> dict[str, Any]:
    time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out", "lastUpdateTime": time}


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (status(3, 3, 3, 3), "waiting"),
        (status(4, 4, 1, 3), "waiting"),
        (status(4, 4, 3, 3), "waiting"),
        (status(4, 3, 3, 2), "waiting"),
        (status(4, 3, 3, 3), "done"),
        (status(4, 4, 1, 3, exceeded(NOON)), "failed"),
        (status(3, 4, 1, 3, exceeded(NOON)), "waiting"),
        (status(0, 0, 0, 0), "waiting"),
    ],
)
def test_progress_is_read_in_the_order_of_kubectl(found: dict[str, Any], phase: str) -> None:
    assert rollout.progress(state(status=found), None).phase == phase


@pytest.mark.parametrize(("later", "phase"), [(-SECOND, "waiting"), (0 * SECOND, "waiting"), (SECOND, "failed")])
def test_failure_counts_only_when_it_is_newer_than_the_change(later: timedelta, phase: str) -> None:
    now = state(status=status(4, 4, 1, 3, exceeded(NOON + later)))
    assert rollout.progress(now, NOON).phase == phase


def test_failures_up_to_the_change_or_known_with_its_answer_are_stale() -> None:
    ours = {"manager": "tapeline-trainer", "time": "2026-11-21T12:00:05Z"}
    theirs = {"manager": "helm", "time": "2026-11-21T12:00:09Z"}
    untimed = {"manager": "tapeline-trainer"}
    assert rollout.stale_until(state(managed=[ours, theirs, untimed])) == NOON + 5 * SECOND
    both = state(managed=[ours], status=status(3, 3, 3, 3, exceeded(NOON + 7 * SECOND)))
    assert rollout.stale_until(both) == NOON + 7 * SECOND
    assert rollout.stale_until(state(managed=[theirs])) is None


def test_replicas_default_to_one() -> None:
    assert rollout.progress(state(spec={}, status=status(4, 1, 1, 1)), None).phase == "done"


def test_unready_replicas_of_the_newest_template_are_no_unfinished_roll_out() -> None:
    assert not rollout.is_unfinished(state(status=status(4, 3, 3, 0)))
    for found in (status(3, 3, 3, 3), status(4, 3, 2, 3), status(4, 4, 3, 3)):
        assert rollout.is_unfinished(state(status=found))


def test_change_is_guarded_by_the_volume_and_the_reference_that_were_read() -> None:
    assert rollout.build_patch(state(), "r@new", "new") == [
        {"op": "test", "path": "/spec/template/spec/volumes/1/name", "value": "model"},
        {"op": "test", "path": "/spec/template/spec/volumes/1/image/reference", "value": "r@old"},
        {"op": "replace", "path": "/spec/template/spec/volumes/1/image/reference", "value": "r@new"},
        {"op": "add", "path": "/spec/template/metadata/annotations/tapeline~1model-digest", "value": "new"},
    ]


@pytest.mark.parametrize(
    ("annotations", "digest", "last"),
    [
        (None, "new", {"op": "add", "path": NO_ANNOTATION, "value": {"tapeline/model-digest": "new"}}),
        ({"tapeline/model-digest": "x"}, None, {"op": "remove", "path": f"{NO_ANNOTATION}/tapeline~1model-digest"}),
        ({"other": "x"}, None, None),
        (None, None, None),
    ],
)
def test_annotation_is_added_and_removed_as_it_is_there(annotations, digest, last) -> None:
    *_, found = rollout.build_patch(state(annotations=annotations), "r@new", digest)
    assert found == (
        last or {"op": "replace", "path": "/spec/template/spec/volumes/1/image/reference", "value": "r@new"}
    )


@pytest.mark.parametrize(
    "volumes",
    [
        [],
        [{"name": "other", "image": {"reference": "r@x"}}],
        [{"name": "model", "emptyDir": {}}],
        [{"name": "model", "image": {}}],
    ],
)
def test_deployment_that_keeps_no_model_reference_is_refused(volumes: list[dict[str, Any]]) -> None:
    with pytest.raises(UnmanagedReference, match="model-reference"):
        state(volumes=volumes)


def test_image_volume_comes_before_the_annotation() -> None:
    both = {"tapeline/model-reference": "r@annotated"}
    assert state(annotations=both).reference == "r@old"
    assert state(annotations=both, volumes=[]).reference == "r@annotated"


def replica_set(revision: int, reference: str, available: int, owner: str = "u", **template: Any) -> dict[str, Any]:
    volumes = [{"name": "model", "image": {"reference": reference}}] if reference else []
    return {
        "metadata": {
            "ownerReferences": [{"uid": owner}],
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {"template": {"metadata": {"annotations": template}, "spec": {"volumes": volumes}}},
        "status": {"availableReplicas": available} if available else {},
    }


def test_model_served_beside_is_of_the_newest_other_template_with_available_replicas() -> None:
    sets = [
        replica_set(9, "r@first", 3),
        replica_set(12, "r@ended", 0),
        replica_set(10, "r@second", 1, **{"tapeline/model-digest": "d2"}),
        replica_set(13, "r@old", 1),
        replica_set(14, "r@stranger", 3, owner="another"),
        replica_set(11, "", 3),
    ]
    assert rollout.other_served_image(deployment(), sets, "model") == ("r@second", "d2")
    assert rollout.other_served_image(deployment(), sets[:1], "model") == ("r@first", None)
    assert rollout.other_served_image(deployment(), [sets[1], *sets[3:]], "model") is None
    assert rollout.other_served_image(deployment(), [{"metadata": {}, "spec": {}}], "model") is None
