"""Roll-outs against fakes on real sockets: registry, API server and inference service."""

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
from tapeline_trainer.errors import NoRegistry, UnmanagedReference
from tapeline_trainer.rollout import target
from tapeline_trainer.rollout.target import RolloutOutcome
from tapeline_trainer.settings import Settings

from unit.tapeline import models
from unit.trainer.fake_platform import NODES, FakePlatform, fake_platform, verified_digest

VOLUME = "/spec/template/spec/volumes/1"
ANNOTATION = "/spec/template/metadata/annotations/tapeline~1model-digest"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[FakePlatform]:
    with fake_platform(tmp_path) as running:
        yield running


def roll_out(platform: FakePlatform, digest: str, **changes: object) -> RolloutOutcome:
    with target.open_target(platform.settings(**changes)) as serving:
        assert serving.served_digest() == platform.bootstrap_digest
        return serving.deploy(platform.folder / "new", digest)


def assert_restored(platform: FakePlatform) -> None:
    """The bootstrap model is the only one served, and the Deployment is as installed."""
    assert platform.cluster.reference == platform.bootstrap_reference
    assert platform.cluster.served == {platform.bootstrap_reference}
    assert platform.cluster.spec["template"]["metadata"]["annotations"] == {
        "tapeline/model-digest": platform.bootstrap_digest
    }


def test_promoted_bundle_is_pushed_and_served_by_every_replica(platform: FakePlatform) -> None:
    digest = platform.bundle()
    outcome = roll_out(platform, digest)
    assert (outcome.rollout, outcome.is_served) == ("rolled_out", True)
    assert str(outcome.reference) == platform.cluster.reference == platform.reference_of(digest)
    assert platform.cluster.served == {platform.cluster.reference}
    assert verified_digest(platform.registry, platform.cluster.reference) == digest
    assert outcome.seconds > 0


def test_change_is_one_patch_of_the_reference_and_the_annotation_guarded_by_what_was_read(
    platform: FakePlatform,
) -> None:
    digest = platform.bundle()
    roll_out(platform, digest)
    assert platform.cluster.patches == [
        [
            {"op": "test", "path": f"{VOLUME}/name", "value": "model"},
            {"op": "test", "path": f"{VOLUME}/image/reference", "value": platform.bootstrap_reference},
            {"op": "replace", "path": f"{VOLUME}/image/reference", "value": platform.reference_of(digest)},
            {"op": "add", "path": ANNOTATION, "value": digest},
        ]
    ]


def test_served_model_is_the_deployments_and_lies_in_the_folder_that_was_empty(platform: FakePlatform) -> None:
    with target.open_target(platform.settings()) as serving:
        assert serving.served_digest() == platform.bootstrap_digest
    assert bundle.current(platform.folder / "models") == platform.bootstrap_digest
    assert bundle.read(platform.folder / "models", platform.bootstrap_digest).manifest.kind == "prior"


def test_only_reads_and_patches_of_the_one_deployment_are_sent_to_the_api_server(platform: FakePlatform) -> None:
    roll_out(platform, platform.bundle())
    sent = {request for request in platform.requests.seen if "/apis/" in request}
    assert sent == {
        f"{verb} /apis/apps/v1/namespaces/tapeline-inference/deployments/inference" for verb in ("GET", "PATCH")
    }


def test_deployment_whose_pods_do_not_come_up_is_put_back(platform: FakePlatform) -> None:
    digest = platform.bundle()
    platform.cluster.broken.add(platform.reference_of(digest))
    outcome = roll_out(platform, digest)
    assert (outcome.rollout, outcome.is_served) == ("rolled_back", False)
    assert "ProgressDeadlineExceeded" in outcome.reason
    assert_restored(platform)


def test_old_replicas_serve_all_the_while_a_broken_model_is_tried(platform: FakePlatform) -> None:
    digest = platform.bundle()
    platform.cluster.broken.add(platform.reference_of(digest))
    served = []
    platform.requests.after = lambda _: served.append(platform.cluster.served)
    roll_out(platform, digest)
    assert all(found == {platform.bootstrap_reference} for found in served)


def test_failure_of_an_earlier_roll_out_is_not_taken_for_one_of_the_next(platform: FakePlatform) -> None:
    """kubectl reported a roll-back as failed, because the condition of the roll-out before it still stood."""
    digest = platform.bundle()
    platform.cluster.broken.add(platform.reference_of(digest))
    assert roll_out(platform, digest).rollout == "rolled_back"
    platform.cluster.broken.clear()

    def fail_late(_: int) -> None:
        if platform.requests.seen[-1].startswith("PATCH"):
            platform.cluster.condition = {"reason": "ProgressDeadlineExceeded", "at": platform.cluster.clock}

    platform.requests.before = fail_late
    assert roll_out(platform, digest).rollout == "rolled_out"
    assert platform.cluster.served == {platform.reference_of(digest)}


def test_roll_out_that_never_ends_is_put_back_after_the_limit(platform: FakePlatform) -> None:
    digest = platform.bundle()
    platform.cluster.stuck.add(platform.reference_of(digest))
    outcome = roll_out(platform, digest, rollout_timeout_s=0.3)
    assert outcome.rollout == "rolled_back" and "TRAINER_ROLLOUT_TIMEOUT_S" in outcome.reason
    assert_restored(platform)


def test_service_that_goes_on_answering_with_another_model_is_put_back(platform: FakePlatform) -> None:
    platform.service.digest = lambda: platform.bootstrap_digest
    outcome = roll_out(platform, platform.bundle())
    assert outcome.rollout == "rolled_back" and f"responded with model {platform.bootstrap_digest}" in outcome.reason
    assert_restored(platform)


def test_responses_of_the_old_model_are_tolerated_for_a_moment(platform: FakePlatform) -> None:
    digest, digests = platform.bundle(), iter([platform.bootstrap_digest] * 6)
    platform.service.digest = lambda: next(digests, digest)
    assert roll_out(platform, digest, watch_s=0.0, watch_tolerance_s=30.0).rollout == "rolled_out"
    assert next(digests, None) is None


@pytest.mark.parametrize("outcome", ["model_unavailable", "internal", "feature_mismatch"])
def test_requests_that_fail_are_reason_enough_to_roll_back(platform: FakePlatform, outcome: str) -> None:
    platform.service.counts = {"ok": 90, outcome: 10}
    done = roll_out(platform, platform.bundle(), watch_tolerance_s=60.0)
    assert done.rollout == "rolled_back" and "10.0% of 100" in done.reason
    assert done.seconds < 30
    assert_restored(platform)


@pytest.mark.parametrize(
    "counts", [{"ok": 96, "internal": 4}, {"ok": 1, "internal": 9}, {"ok": 50, "invalid_rows": 500}, {}]
)
def test_few_failures_few_requests_and_mistakes_of_callers_are_not(
    platform: FakePlatform, counts: dict[str, int]
) -> None:
    platform.service.counts = counts
    assert roll_out(platform, platform.bundle()).rollout == "rolled_out"


def test_service_that_does_not_answer_is_reason_enough(platform: FakePlatform) -> None:
    platform.service.status = 503
    outcome = roll_out(platform, platform.bundle())
    assert outcome.rollout == "rolled_back" and "did not respond as it must" in outcome.reason
    assert_restored(platform)


def test_replicas_lost_while_monitored_are_reason_enough(platform: FakePlatform) -> None:
    digest = platform.bundle()

    def lose(_: int) -> None:
        if platform.cluster.served == {platform.reference_of(digest)}:
            platform.cluster.broken.add(platform.reference_of(digest))
            platform.cluster.sets[-1]["ready"] = 1

    platform.requests.after = lose
    outcome = roll_out(platform, digest, watch_s=2.0)
    assert outcome.rollout == "rolled_back" and "1 of 2 replicas were available" in outcome.reason


def test_replicas_that_an_autoscaler_adds_while_monitored_may_take_their_time(platform: FakePlatform) -> None:
    digest = platform.bundle()

    def grow(_: int) -> None:
        if platform.cluster.served == {platform.reference_of(digest)} and platform.cluster.spec["replicas"] == 2:
            platform.cluster.stuck.add(platform.reference_of(digest))
            platform.cluster.change({**platform.cluster.spec, "replicas": 4})

    platform.requests.after = grow
    assert roll_out(platform, digest, watch_s=0.6).rollout == "rolled_out"
    assert platform.cluster.spec["replicas"] == 4


def test_without_a_service_only_the_replicas_are_monitored(platform: FakePlatform) -> None:
    platform.service.status = 503
    assert roll_out(platform, platform.bundle(), inference_url=None).rollout == "rolled_out"


@pytest.mark.parametrize("moment", ["waiting", "watching"])
def test_sigterm_rolls_back_before_the_run_ends(platform: FakePlatform, moment: str) -> None:
    digest = platform.bundle()
    if moment == "waiting":
        platform.cluster.stuck.add(platform.reference_of(digest))

    def has_begun() -> bool:
        return bool(platform.cluster.patches) if moment == "waiting" else "GET /model" in platform.requests.seen

    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        eventually(has_begun, "the moment has come")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    outcome = roll_out(platform, digest, watch_s=30.0, rollout_timeout_s=30.0)
    assert outcome.rollout == "rolled_back" and "SIGTERM" in outcome.reason
    assert_restored(platform)
    assert signal.getsignal(signal.SIGTERM) is before


def test_run_that_is_interrupted_puts_the_old_model_back_and_stays_interrupted(platform: FakePlatform) -> None:
    digest = platform.bundle()
    interrupted = []

    def interrupt(_: int) -> None:
        if platform.requests.seen[-1] == "GET /model" and not interrupted:
            interrupted.append(os.kill(os.getpid(), signal.SIGINT))

    platform.requests.before = interrupt
    # A shell that starts tests in the background lets them ignore this signal.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            roll_out(platform, digest, watch_s=30.0)
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert_restored(platform)


def test_rollback_waits_after_the_progress_deadline(platform: FakePlatform) -> None:
    """On a busy node pods of the old model may take longer than the deadline; the controller goes on all the same."""
    digest = platform.bundle()
    platform.service.counts = {"ok": 1, "internal": 99}

    def struggle(_: int) -> None:
        if len(platform.cluster.patches) == 2 and not platform.cluster.broken:
            platform.cluster.broken.add(platform.bootstrap_reference)
        elif platform.cluster.condition["reason"] == "ProgressDeadlineExceeded":
            platform.requests.after = lambda _: None
            platform.cluster.broken.clear()

    platform.requests.after = struggle
    assert roll_out(platform, digest).rollout == "rolled_back"
    assert_restored(platform)


def test_model_changed_by_somebody_else_during_the_training_is_not_replaced(platform: FakePlatform) -> None:
    other = platform.reference_of(platform.bundle(0.9))
    with target.open_target(platform.settings()) as serving:
        serving.served_digest()
        platform.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = other
        outcome = serving.deploy(platform.folder / "new", platform.bundle())
    assert outcome.rollout == "not_attempted" and "somebody" not in outcome.reason and other in outcome.reason
    assert platform.cluster.reference == other and not platform.cluster.patches


def test_change_that_loses_a_race_is_refused_whole(platform: FakePlatform) -> None:
    other = platform.reference_of(platform.bundle(0.9))

    def race(_: int) -> None:
        if platform.requests.seen[-1].startswith("PATCH"):
            platform.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = other

    platform.requests.before = race
    outcome = roll_out(platform, platform.bundle())
    assert outcome.rollout == "rollback_failed" and other in outcome.reason
    assert platform.cluster.reference == other
    assert platform.cluster.spec["template"]["metadata"]["annotations"] == {
        "tapeline/model-digest": platform.bootstrap_digest
    }


def test_model_changed_by_somebody_else_during_the_roll_out_stands(platform: FakePlatform) -> None:
    digest, other = platform.bundle(), platform.reference_of(platform.bundle(0.9))

    def take_over(_: int) -> None:
        if platform.requests.seen[-1] == "GET /model":
            platform.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = other

    platform.requests.after = take_over
    outcome = roll_out(platform, digest, watch_s=5.0)
    assert outcome.rollout == "rollback_failed" and other in outcome.reason
    assert platform.cluster.reference == other and len(platform.cluster.patches) == 1


def test_patch_whose_answer_got_lost_is_not_sent_again(platform: FakePlatform) -> None:
    platform.cluster.refusals = [504]
    assert roll_out(platform, platform.bundle()).rollout == "rolled_out"
    assert len(platform.cluster.patches) == 1


def test_patch_that_was_not_taken_for_a_passing_reason_is_sent_again(platform: FakePlatform) -> None:
    platform.cluster.refusals = [500, 429]
    assert roll_out(platform, platform.bundle()).rollout == "rolled_out"
    assert len(platform.cluster.patches) == 3


@pytest.mark.parametrize("status", [403, 422])
def test_patch_that_a_policy_denies_changes_nothing_and_is_reported(platform: FakePlatform, status: int) -> None:
    platform.cluster.refusals = [status]
    outcome = roll_out(platform, platform.bundle())
    assert outcome.rollout == "not_attempted" and "denied by policy" in outcome.reason
    assert len(platform.cluster.patches) == 1
    assert_restored(platform)


def test_rollback_that_is_denied_is_reported_as_failed(platform: FakePlatform) -> None:
    digest = platform.bundle()
    platform.cluster.broken.add(platform.reference_of(digest))
    platform.requests.after = lambda _: (
        platform.cluster.refusals.append(403)
        if len(platform.cluster.patches) == 1 and not platform.cluster.refusals
        else None
    )
    outcome = roll_out(platform, digest)
    assert outcome.rollout == "rollback_failed" and "denied by policy" in outcome.reason
    # Nobody was served anything else meanwhile.
    assert platform.cluster.served == {platform.bootstrap_reference}


def test_passing_failures_of_registry_and_api_server_are_tolerated(platform: FakePlatform) -> None:
    platform.registry.failures = [503, 429]
    platform.cluster.failures = [500, 503]
    assert roll_out(platform, platform.bundle()).rollout == "rolled_out"


def test_registry_that_refuses_the_push_leaves_the_cluster_untouched(platform: FakePlatform) -> None:
    digest = platform.bundle()
    with target.open_target(platform.settings()) as serving:
        serving.served_digest()
        platform.registry.failures = [403] * 9
        outcome = serving.deploy(platform.folder / "new", digest)
    assert outcome.rollout == "not_attempted" and "403" in outcome.reason
    assert not platform.cluster.patches


def test_image_that_does_not_come_back_as_it_was_pushed_is_not_rolled_out(platform: FakePlatform) -> None:
    digest = platform.bundle()

    def spoil(_: int) -> None:
        if platform.requests.seen[-1].startswith("PUT"):
            platform.registry.blobs = {name: content[:-1] + b"?" for name, content in platform.registry.blobs.items()}

    platform.requests.after = spoil
    outcome = roll_out(platform, digest)
    assert outcome.rollout == "not_attempted" and not platform.cluster.patches


def test_image_that_is_served_already_is_left_alone(platform: FakePlatform) -> None:
    with target.open_kubernetes_target(platform.settings()) as serving:
        serving.find_served_image()
        outcome = serving.roll_out(Reference.parse(platform.bootstrap_reference), platform.bootstrap_digest)
    assert (outcome.rollout, outcome.is_served, platform.cluster.patches) == ("rolled_out", True, [])


def test_second_roll_out_of_the_same_bundle_pushes_nothing_new(platform: FakePlatform) -> None:
    digest = platform.bundle()
    roll_out(platform, digest)
    platform.requests.seen.clear()
    with target.open_kubernetes_target(platform.settings()) as serving:
        serving.find_served_image()
        assert serving.deploy(platform.folder / "new", digest).is_served
    assert not [request for request in platform.requests.seen if request.startswith("POST")]


@pytest.mark.parametrize(
    "reference",
    [
        "registry.example.com/tapeline/models@sha256:" + "a" * 64,
        f"{NODES}/another/models@sha256:" + "a" * 64,
        f"{NODES}/tapeline/models:latest",
    ],
)
def test_model_that_could_not_be_put_back_is_not_replaced(
    tmp_path: Path, platform: FakePlatform, reference: str
) -> None:
    platform.cluster.spec["template"]["spec"]["volumes"][1]["image"]["reference"] = reference
    with (
        target.open_target(platform.settings()) as serving,
        pytest.raises(UnmanagedReference, match="no model was touched"),
    ):
        serving.served_digest()


def test_deployment_without_a_place_for_a_model_is_refused(platform: FakePlatform) -> None:
    del platform.cluster.spec["template"]["spec"]["volumes"][1]
    with (
        target.open_target(platform.settings()) as serving,
        pytest.raises(UnmanagedReference, match="image-volume or init-container"),
    ):
        serving.served_digest()


def test_served_image_that_the_registry_lost_counts_as_none(platform: FakePlatform) -> None:
    platform.registry.blobs.clear()
    with target.open_target(platform.settings()) as serving:
        assert serving.served_digest() is None


def test_template_without_annotations_gets_one_and_loses_it_with_the_rollback(tmp_path: Path) -> None:
    with fake_platform(tmp_path, annotations=None) as platform:
        digest = platform.bundle()
        platform.cluster.broken.add(platform.reference_of(digest))
        assert roll_out(platform, digest).rollout == "rolled_back"
        assert platform.cluster.patches[0][-1] == {
            "op": "add",
            "path": "/spec/template/metadata/annotations",
            "value": {"tapeline/model-digest": digest},
        }
        assert platform.cluster.patches[1][-1] == {"op": "remove", "path": ANNOTATION}
        assert platform.cluster.served == {platform.bootstrap_reference}


def test_where_an_init_container_fetches_the_annotation_is_what_changes(platform: FakePlatform) -> None:
    template = platform.cluster.spec["template"]
    template["metadata"]["annotations"]["tapeline/model-reference"] = platform.bootstrap_reference
    template["spec"]["volumes"][1] = {"name": "model", "emptyDir": {}}
    digest = platform.bundle()
    platform.cluster.change(dict(platform.cluster.spec))
    assert roll_out(platform, digest).rollout == "rolled_out"
    path = "/spec/template/metadata/annotations/tapeline~1model-reference"
    assert platform.cluster.patches[0][:2] == [
        {"op": "test", "path": path, "value": platform.bootstrap_reference},
        {"op": "replace", "path": path, "value": platform.reference_of(digest)},
    ]


class TestAnUnfinishedRollOut:
    """An unfinished roll-out that a killed run left."""

    def test_is_waited_for_where_it_goes_well(self, platform: FakePlatform) -> None:
        digest = platform.bundle()
        with target.open_kubernetes_target(platform.settings()) as serving:
            serving.find_served_image()
            reference = target.publish(serving._registry, platform.folder / "new", digest)
            platform.cluster.change(changed(platform, str(reference)))
        with target.open_target(platform.settings()) as serving:
            assert serving.served_digest() == digest
        assert platform.cluster.served == {str(reference)} and not platform.cluster.patches

    def test_is_taken_back_where_it_fails_and_the_next_goes_well(self, platform: FakePlatform) -> None:
        broken = platform.bundle(0.9)
        platform.cluster.broken.add(platform.reference_of(broken))
        platform.cluster.change(changed(platform, platform.reference_of(broken)))
        platform.cluster.spec["template"]["metadata"]["annotations"]["tapeline/model-digest"] = broken
        assert roll_out(platform, platform.bundle()).rollout == "rolled_out"
        assert [patch[2]["value"] for patch in platform.cluster.patches] == [
            platform.bootstrap_reference,
            platform.reference_of(platform.bundle()),
        ]

    def test_of_another_kind_is_left_to_whoever_began_it(self, platform: FakePlatform) -> None:
        spec = {**platform.cluster.spec, "template": {**platform.cluster.spec["template"], "new code": True}}
        platform.cluster.broken.add(platform.bootstrap_reference)
        platform.cluster.change(spec)
        with target.open_target(platform.settings()) as serving:
            assert serving.served_digest() == platform.bootstrap_digest
        assert not platform.cluster.patches


def changed(platform: FakePlatform, reference: str) -> dict[str, object]:
    """The specification with another model image in it."""
    spec = copy.deepcopy(platform.cluster.spec)
    spec["template"]["spec"]["volumes"][1]["image"]["reference"] = reference
    return spec


def test_deployment_that_did_not_stand_before_may_be_changed_and_is_put_back_all_the_same(
    platform: FakePlatform,
) -> None:
    """A model past its time leaves no replica ready; a new one is the way out."""
    platform.cluster.broken.add(platform.bootstrap_reference)
    platform.cluster.sets[0]["ready"] = 0
    digest = platform.bundle()
    platform.cluster.stuck.add(platform.reference_of(digest))
    assert roll_out(platform, digest, rollout_timeout_s=0.3).rollout == "rolled_back"
    assert platform.cluster.reference == platform.bootstrap_reference
    platform.cluster.stuck.clear()
    assert roll_out(platform, digest).rollout == "rolled_out"


def test_folder_is_served_by_one_replacement(tmp_path: Path) -> None:
    digest = models.bundle(tmp_path / "a")
    models.bundle(tmp_path / "a", 0.9)
    with target.open_target(Settings(models=tmp_path / "a")) as serving:
        outcome = serving.deploy(tmp_path / "a", digest)
        assert (serving.served_digest(), outcome.rollout, outcome.is_served) == (digest, "not_attempted", True)
    with pytest.raises(NoRegistry), target.open_kubernetes_target(Settings()):
        pass
