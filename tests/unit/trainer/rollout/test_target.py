"""Roll-outs against real sockets: the registry's API, the API server's, and the service's."""

import copy
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import eventually
from tapeline.model import bundle
from tapeline.model.oci_image import Reference
from tapeline_trainer.errors import NoRegistry, NotOurs
from tapeline_trainer.rollout import target
from tapeline_trainer.rollout.target import Outcome
from tapeline_trainer.settings import Settings

from unit.tapeline import models
from unit.trainer.platform import NODES, Platform, platform, provable

VOLUME = "/spec/template/spec/volumes/1"
ANNOTATION = "/spec/template/metadata/annotations/tapeline~1model-digest"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


def roll_out(made: Platform, digest: str, **changes: object) -> Outcome:
    with target.home(made.settings(**changes)) as home:
        assert home.served() == made.seed
        return home.serve(made.folder / "new", digest)


def stands(made: Platform) -> None:
    """The seed is the only thing that is served, and the Deployment is as it was installed."""
    assert made.cluster.reference == made.seed_reference
    assert made.cluster.served == {made.seed_reference}
    assert made.cluster.spec["template"]["metadata"]["annotations"] == {"tapeline/model-digest": made.seed}


def test_promoted_bundle_is_pushed_and_served_by_every_replica(made: Platform) -> None:
    digest = made.bundle()
    outcome = roll_out(made, digest)
    assert (outcome.rollout, outcome.is_served) == ("rolled_out", True)
    assert str(outcome.reference) == made.cluster.reference == made.reference_of(digest)
    assert made.cluster.served == {made.cluster.reference}
    assert provable(made.registry, made.cluster.reference) == digest
    assert outcome.seconds > 0


def test_change_is_one_patch_of_the_reference_and_the_annotation_guarded_by_what_was_read(made: Platform) -> None:
    digest = made.bundle()
    roll_out(made, digest)
    assert made.cluster.patches == [
        [
            {"op": "test", "path": f"{VOLUME}/name", "value": "model"},
            {"op": "test", "path": f"{VOLUME}/image/reference", "value": made.seed_reference},
            {"op": "replace", "path": f"{VOLUME}/image/reference", "value": made.reference_of(digest)},
            {"op": "add", "path": ANNOTATION, "value": digest},
        ]
    ]


def test_served_model_is_the_deployments_and_lies_in_the_folder_that_was_empty(made: Platform) -> None:
    with target.home(made.settings()) as home:
        assert home.served() == made.seed
    assert bundle.current(made.folder / "models") == made.seed
    assert bundle.read(made.folder / "models", made.seed).manifest.kind == "prior"


def test_only_reads_and_patches_of_the_one_deployment_are_asked_of_the_api_server(made: Platform) -> None:
    roll_out(made, made.bundle())
    asked = {request for request in made.requests.seen if "/apis/" in request}
    assert asked == {
        f"{verb} /apis/apps/v1/namespaces/tapeline-inference/deployments/inference" for verb in ("GET", "PATCH")
    }


def test_deployment_whose_pods_do_not_come_up_is_put_back(made: Platform) -> None:
    digest = made.bundle()
    made.cluster.broken.add(made.reference_of(digest))
    outcome = roll_out(made, digest)
    assert (outcome.rollout, outcome.is_served) == ("undone", False)
    assert "ProgressDeadlineExceeded" in outcome.reason
    stands(made)


def test_old_replicas_serve_all_the_while_a_broken_model_is_tried(made: Platform) -> None:
    digest = made.bundle()
    made.cluster.broken.add(made.reference_of(digest))
    served = []
    made.requests.after = lambda _: served.append(made.cluster.served)
    roll_out(made, digest)
    assert all(found == {made.seed_reference} for found in served)


def test_failure_of_an_earlier_roll_out_is_not_taken_for_one_of_the_next(made: Platform) -> None:
    """kubectl reported a roll-back as failed, because the condition of the roll-out before it still stood."""
    digest = made.bundle()
    made.cluster.broken.add(made.reference_of(digest))
    assert roll_out(made, digest).rollout == "undone"
    made.cluster.broken.clear()

    def fail_late(_: int) -> None:
        if made.requests.seen[-1].startswith("PATCH"):
            made.cluster.condition = {"reason": "ProgressDeadlineExceeded", "at": made.cluster.clock}

    made.requests.before = fail_late
    assert roll_out(made, digest).rollout == "rolled_out"
    assert made.cluster.served == {made.reference_of(digest)}


def test_roll_out_that_never_ends_is_put_back_after_the_limit(made: Platform) -> None:
    digest = made.bundle()
    made.cluster.stuck.add(made.reference_of(digest))
    outcome = roll_out(made, digest, rollout_timeout_s=0.3)
    assert outcome.rollout == "undone" and "TRAINER_ROLLOUT_TIMEOUT_S" in outcome.reason
    stands(made)


def test_service_that_goes_on_answering_with_another_model_is_put_back(made: Platform) -> None:
    made.service.digest = lambda: made.seed
    outcome = roll_out(made, made.bundle())
    assert outcome.rollout == "undone" and f"answered with model {made.seed}" in outcome.reason
    stands(made)


def test_answers_of_the_old_model_are_endured_for_a_moment(made: Platform) -> None:
    digest, answers = made.bundle(), iter([made.seed] * 6)
    made.service.digest = lambda: next(answers, digest)
    assert roll_out(made, digest, watch_s=0.0, watch_tolerance_s=30.0).rollout == "rolled_out"
    assert next(answers, None) is None


@pytest.mark.parametrize("outcome", ["model_unavailable", "internal", "feature_mismatch"])
def test_requests_that_fail_are_reason_enough_to_go_back(made: Platform, outcome: str) -> None:
    made.service.counts = {"ok": 90, outcome: 10}
    done = roll_out(made, made.bundle(), watch_tolerance_s=60.0)
    assert done.rollout == "undone" and "10.0% of 100" in done.reason
    assert done.seconds < 30
    stands(made)


@pytest.mark.parametrize(
    "counts", [{"ok": 96, "internal": 4}, {"ok": 1, "internal": 9}, {"ok": 50, "invalid_rows": 500}, {}]
)
def test_few_failures_few_requests_and_mistakes_of_callers_are_not(made: Platform, counts: dict[str, int]) -> None:
    made.service.counts = counts
    assert roll_out(made, made.bundle()).rollout == "rolled_out"


def test_service_that_does_not_answer_is_reason_enough(made: Platform) -> None:
    made.service.status = 503
    outcome = roll_out(made, made.bundle())
    assert outcome.rollout == "undone" and "did not answer as it must" in outcome.reason
    stands(made)


def test_replicas_lost_under_watch_are_reason_enough(made: Platform) -> None:
    digest = made.bundle()

    def lose(_: int) -> None:
        if made.cluster.served == {made.reference_of(digest)}:
            made.cluster.broken.add(made.reference_of(digest))
            made.cluster.sets[-1]["ready"] = 1

    made.requests.after = lose
    outcome = roll_out(made, digest, watch_s=2.0)
    assert outcome.rollout == "undone" and "1 of 2 replicas were available" in outcome.reason


def test_replicas_that_an_autoscaler_adds_under_watch_may_take_their_time(made: Platform) -> None:
    digest = made.bundle()

    def grow(_: int) -> None:
        if made.cluster.served == {made.reference_of(digest)} and made.cluster.spec["replicas"] == 2:
            made.cluster.stuck.add(made.reference_of(digest))
            made.cluster.change({**made.cluster.spec, "replicas": 4})

    made.requests.after = grow
    assert roll_out(made, digest, watch_s=0.6).rollout == "rolled_out"
    assert made.cluster.spec["replicas"] == 4


def test_without_a_service_to_ask_the_replicas_alone_are_watched(made: Platform) -> None:
    made.service.status = 503
    assert roll_out(made, made.bundle(), inference_url=None).rollout == "rolled_out"


@pytest.mark.parametrize("moment", ["waiting", "watching"])
def test_run_that_is_told_to_end_puts_the_old_model_back_first(made: Platform, moment: str) -> None:
    digest = made.bundle()
    if moment == "waiting":
        made.cluster.stuck.add(made.reference_of(digest))

    def has_begun() -> bool:
        return bool(made.cluster.patches) if moment == "waiting" else "GET /model" in made.requests.seen

    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        eventually(has_begun, "the moment has come")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    outcome = roll_out(made, digest, watch_s=30.0, rollout_timeout_s=30.0)
    assert outcome.rollout == "undone" and "SIGTERM" in outcome.reason
    stands(made)
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_that_is_interrupted_puts_the_old_model_back_and_stays_interrupted(made: Platform) -> None:
    digest = made.bundle()
    interrupted = []

    def interrupt(_: int) -> None:
        if made.requests.seen[-1] == "GET /model" and not interrupted:
            interrupted.append(os.kill(os.getpid(), signal.SIGINT))

    made.requests.before = interrupt
    # A shell that starts tests in the background lets them ignore this signal.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            roll_out(made, digest, watch_s=30.0)
    finally:
        signal.signal(signal.SIGINT, inherited)
    stands(made)


def test_undo_waits_on_where_the_cluster_gives_up_on_it(made: Platform) -> None:
    """On a busy node pods of the old model may take longer than the deadline; the controller goes on all the same."""
    digest = made.bundle()
    made.service.counts = {"ok": 1, "internal": 99}

    def struggle(_: int) -> None:
        if len(made.cluster.patches) == 2 and not made.cluster.broken:
            made.cluster.broken.add(made.seed_reference)
        elif made.cluster.condition["reason"] == "ProgressDeadlineExceeded":
            made.requests.after = lambda _: None
            made.cluster.broken.clear()

    made.requests.after = struggle
    assert roll_out(made, digest).rollout == "undone"
    stands(made)


def test_model_changed_by_somebody_else_during_the_training_is_not_replaced(made: Platform) -> None:
    other = made.reference_of(made.bundle(0.9))
    with target.home(made.settings()) as home:
        home.served()
        made.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = other
        outcome = home.serve(made.folder / "new", made.bundle())
    assert outcome.rollout == "not_attempted" and "somebody" not in outcome.reason and other in outcome.reason
    assert made.cluster.reference == other and not made.cluster.patches


def test_change_that_loses_a_race_is_refused_whole(made: Platform) -> None:
    other = made.reference_of(made.bundle(0.9))

    def race(_: int) -> None:
        if made.requests.seen[-1].startswith("PATCH"):
            made.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = other

    made.requests.before = race
    outcome = roll_out(made, made.bundle())
    assert outcome.rollout == "unsettled" and other in outcome.reason
    assert made.cluster.reference == other
    assert made.cluster.spec["template"]["metadata"]["annotations"] == {"tapeline/model-digest": made.seed}


def test_model_changed_by_somebody_else_during_the_roll_out_stands(made: Platform) -> None:
    digest, other = made.bundle(), made.reference_of(made.bundle(0.9))

    def take_over(_: int) -> None:
        if made.requests.seen[-1] == "GET /model":
            made.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = other

    made.requests.after = take_over
    outcome = roll_out(made, digest, watch_s=5.0)
    assert outcome.rollout == "unsettled" and other in outcome.reason
    assert made.cluster.reference == other and len(made.cluster.patches) == 1


def test_patch_whose_answer_got_lost_is_not_sent_again(made: Platform) -> None:
    made.cluster.refusals = [504]
    assert roll_out(made, made.bundle()).rollout == "rolled_out"
    assert len(made.cluster.patches) == 1


def test_patch_that_was_not_taken_for_a_passing_reason_is_sent_again(made: Platform) -> None:
    made.cluster.refusals = [500, 429]
    assert roll_out(made, made.bundle()).rollout == "rolled_out"
    assert len(made.cluster.patches) == 3


@pytest.mark.parametrize("status", [403, 422])
def test_patch_that_a_policy_denies_changes_nothing_and_is_told(made: Platform, status: int) -> None:
    made.cluster.refusals = [status]
    outcome = roll_out(made, made.bundle())
    assert outcome.rollout == "not_attempted" and "denied by policy" in outcome.reason
    assert len(made.cluster.patches) == 1
    stands(made)


def test_undo_that_is_denied_is_called_unsettled(made: Platform) -> None:
    digest = made.bundle()
    made.cluster.broken.add(made.reference_of(digest))
    made.requests.after = lambda _: (
        made.cluster.refusals.append(403) if len(made.cluster.patches) == 1 and not made.cluster.refusals else None
    )
    outcome = roll_out(made, digest)
    assert outcome.rollout == "unsettled" and "denied by policy" in outcome.reason
    # Nobody was served anything else meanwhile.
    assert made.cluster.served == {made.seed_reference}


def test_passing_failures_of_registry_and_api_server_are_endured(made: Platform) -> None:
    made.registry.failures = [503, 429]
    made.cluster.failures = [500, 503]
    assert roll_out(made, made.bundle()).rollout == "rolled_out"


def test_registry_that_refuses_the_push_leaves_the_cluster_untouched(made: Platform) -> None:
    digest = made.bundle()
    with target.home(made.settings()) as home:
        home.served()
        made.registry.failures = [403] * 9
        outcome = home.serve(made.folder / "new", digest)
    assert outcome.rollout == "not_attempted" and "403" in outcome.reason
    assert not made.cluster.patches


def test_image_that_does_not_come_back_as_it_was_pushed_is_not_rolled_out(made: Platform) -> None:
    digest = made.bundle()

    def spoil(_: int) -> None:
        if made.requests.seen[-1].startswith("PUT"):
            made.registry.blobs = {name: content[:-1] + b"?" for name, content in made.registry.blobs.items()}

    made.requests.after = spoil
    outcome = roll_out(made, digest)
    assert outcome.rollout == "not_attempted" and not made.cluster.patches


def test_image_that_is_served_already_is_left_alone(made: Platform) -> None:
    with target.fleet(made.settings()) as fleet:
        fleet.find()
        outcome = fleet.roll_out(Reference.parse(made.seed_reference), made.seed)
    assert (outcome.rollout, outcome.is_served, made.cluster.patches) == ("rolled_out", True, [])


def test_second_roll_out_of_the_same_bundle_pushes_nothing_new(made: Platform) -> None:
    digest = made.bundle()
    roll_out(made, digest)
    made.requests.seen.clear()
    with target.fleet(made.settings()) as fleet:
        fleet.find()
        assert fleet.serve(made.folder / "new", digest).is_served
    assert not [request for request in made.requests.seen if request.startswith("POST")]


@pytest.mark.parametrize(
    "reference",
    [
        "registry.example.com/tapeline/models@sha256:" + "a" * 64,
        f"{NODES}/another/models@sha256:" + "a" * 64,
        f"{NODES}/tapeline/models:latest",
    ],
)
def test_model_that_could_not_be_put_back_is_not_replaced(tmp_path: Path, made: Platform, reference: str) -> None:
    made.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = reference
    with target.home(made.settings()) as home, pytest.raises(NotOurs, match="no model was touched"):
        home.served()


def test_deployment_without_a_place_for_a_model_is_refused(made: Platform) -> None:
    del made.cluster.spec["template"]["spec"]["volumes"][1]
    with target.home(made.settings()) as home, pytest.raises(NotOurs, match="image-volume or init-container"):
        home.served()


def test_served_image_that_the_registry_lost_counts_as_none(made: Platform) -> None:
    made.registry.blobs.clear()
    with target.home(made.settings()) as home:
        assert home.served() is None


def test_template_without_annotations_gets_one_and_loses_it_with_the_undo(tmp_path: Path) -> None:
    with platform(tmp_path, annotations=None) as made:
        digest = made.bundle()
        made.cluster.broken.add(made.reference_of(digest))
        assert roll_out(made, digest).rollout == "undone"
        assert made.cluster.patches[0][-1] == {
            "op": "add",
            "path": "/spec/template/metadata/annotations",
            "value": {"tapeline/model-digest": digest},
        }
        assert made.cluster.patches[1][-1] == {"op": "remove", "path": ANNOTATION}
        assert made.cluster.served == {made.seed_reference}


def test_where_an_init_container_fetches_the_annotation_is_what_changes(made: Platform) -> None:
    template = made.cluster.spec["template"]
    template["metadata"]["annotations"]["tapeline/model-reference"] = made.seed_reference
    template["spec"]["volumes"][1] = {"name": "model", "emptyDir": {}}
    digest = made.bundle()
    made.cluster.change(dict(made.cluster.spec))
    assert roll_out(made, digest).rollout == "rolled_out"
    place = "/spec/template/metadata/annotations/tapeline~1model-reference"
    assert made.cluster.patches[0][:2] == [
        {"op": "test", "path": place, "value": made.seed_reference},
        {"op": "replace", "path": place, "value": made.reference_of(digest)},
    ]


class TestAnUnfinishedRollOut:
    """What a run that was killed left behind."""

    def test_is_waited_for_where_it_goes_well(self, made: Platform) -> None:
        digest = made.bundle()
        with target.fleet(made.settings()) as fleet:
            fleet.find()
            reference = target.publish(fleet._registry, made.folder / "new", digest)
            made.cluster.change(changed(made, str(reference)))
        with target.home(made.settings()) as home:
            assert home.served() == digest
        assert made.cluster.served == {str(reference)} and not made.cluster.patches

    def test_is_taken_back_where_it_fails_and_the_next_goes_well(self, made: Platform) -> None:
        broken = made.bundle(0.9)
        made.cluster.broken.add(made.reference_of(broken))
        made.cluster.change(changed(made, made.reference_of(broken)))
        made.cluster.spec["template"]["metadata"]["annotations"]["tapeline/model-digest"] = broken
        assert roll_out(made, made.bundle()).rollout == "rolled_out"
        assert [patch[2]["value"] for patch in made.cluster.patches] == [
            made.seed_reference,
            made.reference_of(made.bundle()),
        ]

    def test_of_another_kind_is_left_to_whoever_began_it(self, made: Platform) -> None:
        spec = {**made.cluster.spec, "template": {**made.cluster.spec["template"], "new code": True}}
        made.cluster.broken.add(made.seed_reference)
        made.cluster.change(spec)
        with target.home(made.settings()) as home:
            assert home.served() == made.seed
        assert not made.cluster.patches


def changed(made: Platform, reference: str) -> dict[str, object]:
    """The specification with another model image in it."""
    spec = copy.deepcopy(made.cluster.spec)
    spec["template"]["spec"]["volumes"][1]["image"]["reference"] = reference
    return spec


def test_deployment_that_did_not_stand_before_may_be_changed_and_is_put_back_all_the_same(made: Platform) -> None:
    """A model past its time leaves no replica ready; a new one is the way out."""
    made.cluster.broken.add(made.seed_reference)
    made.cluster.sets[0]["ready"] = 0
    digest = made.bundle()
    made.cluster.stuck.add(made.reference_of(digest))
    assert roll_out(made, digest, rollout_timeout_s=0.3).rollout == "undone"
    assert made.cluster.reference == made.seed_reference
    made.cluster.stuck.clear()
    assert roll_out(made, digest).rollout == "rolled_out"


def test_folder_is_served_by_one_replacement(tmp_path: Path) -> None:
    digest = models.bundle(tmp_path / "a")
    models.bundle(tmp_path / "a", 0.9)
    with target.home(Settings(models=tmp_path / "a")) as home:
        outcome = home.serve(tmp_path / "a", digest)
        assert (home.served(), outcome.rollout, outcome.is_served) == (digest, "not_attempted", True)
    with pytest.raises(NoRegistry), target.fleet(Settings()):
        pass
