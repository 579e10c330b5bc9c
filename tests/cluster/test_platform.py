"""The platform in pods: trades flow, the ledger balances, replicas come and go, a model is rolled out.

Kafka and Elasticsearch run beside the cluster as plain processes of this machine; all that is ours runs as pods.
"""

import json
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest
import yaml
from elasticsearch import ApiError, Elasticsearch
from support import eventually
from tapeline import names
from tapeline_local import evidence, paths
from tapeline_local.options import StackOptions
from tapeline_local.reconcile import Books, reconcile
from tapeline_local.stack import Stack

from cluster import platform, pressure, running, serving
from cluster.kube import ROOT, apply, get, helm, items, kubectl, run

pytestmark = pytest.mark.timeout(1200)
STILL_S = 6.0
PRODUCERS = 3
# Everything at once, three replicas of inference and a surge included, must find room on a node of two cores.
SMALL = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}}


def default_storage_class() -> tuple[str, bool]:
    """Return the name of the default storage class, empty without one, and whether it makes volumes."""
    for found in json.loads(kubectl("get", "storageclass", "-o", "json"))["items"]:
        if found["metadata"].get("annotations", {}).get("storageclass.kubernetes.io/is-default-class") == "true":
            return found["metadata"]["name"], found["provisioner"] != "kubernetes.io/no-provisioner"
    return "", False


def volume_for_the_checkpoint(folder: Path, storage_class: str) -> dict:
    """Return a volume for the stream's claim, for a cluster without a provisioner whose node is this machine."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "tapeline-test-checkpoint"},
        "spec": {
            "capacity": {"storage": "5Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "hostPath": {"path": str(folder)},
            "claimRef": {"namespace": platform.NAMESPACE, "name": "tapeline-spark-checkpoint"},
        },
    }


@pytest.fixture(scope="module")
def outside(node):
    """Kafka and Elasticsearch of this machine, where pods reach them."""
    options = StackOptions(expose=platform.this_machine(), fast_jit=True)
    stack = Stack(paths.STATES / f"test-{uuid.uuid4().hex[:8]}", ("kafka", "elasticsearch"), options)
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def up(outside, images, spark_operator, namespaces, tmp_path_factory):
    """The whole platform, its pods ready and trades flowing."""
    chosen = platform.values(
        *outside.exposed(),
        serving.seed(),
        producer={"replicas": PRODUCERS, **SMALL},
        trainer={"suspend": True, "rollout": {"timeoutSeconds": 240, "watchSeconds": 20}, **SMALL},
        simulator={"enabled": True, **SMALL},
    )
    # What one pod can press out of a busy machine must be far above the requests of a replica.
    chosen["apps"]["inference"] |= {"progressDeadlineSeconds": 120, **SMALL}
    path = platform.write(tmp_path_factory.mktemp("values"), chosen)
    folder = Path("/var/tmp") / f"tapeline-checkpoint-{uuid.uuid4().hex[:8]}"
    storage_class, provisions = default_storage_class()
    if not provisions:
        assert apply([volume_for_the_checkpoint(folder, storage_class)]).code == 0
    platform.install(path)
    try:
        running.wait_rolled_out(platform.NAMESPACE, "tapeline-simulator")
        running.wait_rolled_out(platform.INFERENCE, "inference")
        running.wait_rolled_out(platform.NAMESPACE, "tapeline-producer")
        manifest = yaml.safe_load((ROOT / "k8s" / "spark-application.yaml").read_text())
        image = f"{platform.REGISTRY}/tapeline/spark:{running.VERSION}"
        manifest["spec"] |= {"image": image, "imagePullPolicy": "Always"}
        for part in ("driver", "executor"):
            manifest["spec"][part]["coreRequest"] = "100m"
        answer = apply([manifest])
        assert answer.code == 0, answer.err
        elastic = Elasticsearch(outside.addresses.elasticsearch)
        eventually(lambda: count(elastic) > 100, f"trades are searchable\n{running.why(platform.NAMESPACE)}", 300)
        yield elastic
        elastic.close()
    finally:
        kubectl("-n", platform.NAMESPACE, "delete", "sparkapplication", "--all", "--wait=true", "--timeout=120s")
        platform.uninstall()
        run("kubectl", "delete", "pv", "tapeline-test-checkpoint", "--ignore-not-found", "--timeout=60s")


def count(elastic: Elasticsearch) -> int:
    try:
        return evidence.count(elastic, f"{names.INDEX_TRADES_PREFIX}*")
    except ApiError as error:
        # The day's index is being made at this moment.
        assert error.status_code == 503, error
        return 0


def flows(elastic: Elasticsearch) -> None:
    before = count(elastic)
    eventually(lambda: count(elastic) > before + 200, "trades become searchable", 180)


def books(elastic: Elasticsearch) -> Books:
    """Stop the exchange, let everything through, compare, and let it go on."""
    with running.forwarded(platform.NAMESPACE, "svc/tapeline-simulator", 8082) as url:
        httpx.post(f"{url}/simulator/pause", trust_env=False).raise_for_status()
        seen = {"count": -1, "since": time.monotonic()}

        def is_still() -> bool:
            now = count(elastic)
            if now != seen["count"]:
                seen.update(count=now, since=time.monotonic())
            return time.monotonic() - seen["since"] > STILL_S

        eventually(is_still, "nothing moves any more", 180)
        found = reconcile(running.ledger(), evidence.read_trades(elastic), evidence.read_gaps(elastic))
        httpx.post(f"{url}/simulator/resume", trust_env=False).raise_for_status()
    return found


def served(elastic: Elasticsearch) -> set[str]:
    """Return which models the newest predictions name."""
    newest = elastic.search(
        index=f"{names.INDEX_TRADES_PREFIX}*",
        size=50,
        query={"term": {"prediction_state": names.STATE_OK}},
        sort=[{"indexed_at": "desc"}],
    )
    return {hit["_source"]["model_digest"] for hit in newest["hits"]["hits"]}


def test_trades_flow_through_pods_with_predictions_and_the_ledger_balances(up):
    flows(up)
    eventually(lambda: served(up), "predictions arrive", 120)
    found = books(up)
    assert found.balanced(), found.as_dict()
    assert found.sent > 300
    drivers = items("pods", platform.NAMESPACE, "spark-role=driver")
    executors = items("pods", platform.NAMESPACE, "spark-role=executor")
    assert len(drivers) == 1 and len(executors) >= 1


def test_helm_test_finds_the_platform_whole(up):
    said = helm("test", "tapeline", "-n", platform.NAMESPACE, "--logs", "--timeout", "180s")
    assert "Phase:          Succeeded" in said, said


def test_a_producer_replica_that_is_killed_loses_nothing(up):
    assert running.replicas(platform.NAMESPACE, "tapeline-producer") == PRODUCERS
    (first, *_) = running.pods(platform.NAMESPACE, "app.kubernetes.io/name=producer")
    kubectl("-n", platform.NAMESPACE, "delete", "pod", first, "--grace-period=0", "--force")
    flows(up)
    running.wait_rolled_out(platform.NAMESPACE, "tapeline-producer")
    flows(up)
    found = books(up)
    assert found.balanced(), found.as_dict()


def test_load_scales_inference_out_and_back_without_a_failed_call(up, capsys):
    running.wait_replicas(platform.INFERENCE, "inference", 1, 400)
    with pressure.pressing("pressing-for-scale", seconds=120, threads=4):
        out_s = running.wait_replicas(platform.INFERENCE, "inference", 3, 180)
        counted = pressure.outcome("pressing-for-scale", 240)
    back_s = running.wait_replicas(platform.INFERENCE, "inference", 1, 600)
    with capsys.disabled():
        sys.stdout.write(f"\n1 to 3 replicas in {out_s:.0f} s, back to 1 in {back_s:.0f} s after the load; {counted}\n")
    assert counted["calls"] > 100
    assert counted["failed"] == 0, counted


def test_a_model_is_trained_and_rolled_out_under_load_without_a_failed_call(up):
    before = get("deployment", "inference", platform.INFERENCE)
    eventually(lambda: count(up) > 6_000, "there are enough trades to train on", 300)
    run("kubectl", "-n", platform.NAMESPACE, "delete", "job", "by-hand", "--ignore-not-found")
    with pressure.pressing("pressing-for-model", seconds=240, threads=1):
        kubectl("-n", platform.NAMESPACE, "create", "job", "by-hand", "--from=cronjob/tapeline-trainer")
        wait = ("wait", "job/by-hand", "--for=condition=Complete", "--timeout=420s")
        answer = run("kubectl", "-n", platform.NAMESPACE, *wait, timeout_s=450)
        counted = pressure.outcome("pressing-for-model", 300)
    log = run("kubectl", "-n", platform.NAMESPACE, "logs", "job/by-hand", "--tail=40").out
    assert answer.code == 0, log
    assert counted["failed"] == 0, counted
    after = get("deployment", "inference", platform.INFERENCE)
    assert images_of(before) != images_of(after), log
    running.wait_rolled_out(platform.INFERENCE, "inference")
    verdict = newest_verdict(up)
    assert verdict["image_reference"] in images_of(after)
    eventually(lambda: served(up) == {verdict["digest"]}, "the new model answers", 60)


def images_of(deployment: dict) -> list[str]:
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    return [volume["image"]["reference"] for volume in volumes if "image" in volume]


def newest_verdict(elastic: Elasticsearch) -> dict:
    elastic.indices.refresh(index=names.INDEX_MODELS)
    found = elastic.search(index=names.INDEX_MODELS, size=1, sort=[{"@timestamp": "desc"}])
    return dict(found["hits"]["hits"][0]["_source"])
