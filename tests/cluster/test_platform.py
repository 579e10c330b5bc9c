"""The platform in pods: trades flow, the ledger is reconciled, replicas are replaced, a model is rolled out.

Kafka and Elasticsearch run as plain processes of this machine outside the cluster; our services run as pods.
"""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from elasticsearch import ApiError, Elasticsearch
from support import eventually
from tapeline import names
from tapeline.enums import PredictionState
from tapeline_local import paths
from tapeline_local.demo import readers
from tapeline_local.demo.reconcile import ReconciliationReport, reconcile
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack
from unit.notifier.botapi import BotApi

from cluster import load_generator, notifier_targets, platform, running, serving
from cluster.kube import ROOT, apply, get, helm, items, kubectl, run

pytestmark = pytest.mark.timeout(1200)
IDLE_S = 6.0
PRODUCERS = 3
CLAIMS = ("tapeline-spark-checkpoint", "tapeline-notifier-state")
# Everything at once, three replicas of inference and a surge included, must find room on a node of two cores.
SMALL = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}}


def default_storage_class() -> tuple[str, bool]:
    """Return the name of the default storage class, empty without one, and whether it makes volumes."""
    for found in json.loads(kubectl("get", "storageclass", "-o", "json"))["items"]:
        if found["metadata"].get("annotations", {}).get("storageclass.kubernetes.io/is-default-class") == "true":
            return found["metadata"]["name"], found["provisioner"] != "kubernetes.io/no-provisioner"
    return "", False


def volume(claim: str, folder: Path, storage_class: str) -> dict:
    """Return a volume for a claim, for a cluster without a provisioner whose node is this machine."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"test-{claim}"},
        "spec": {
            "capacity": {"storage": "5Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "hostPath": {"path": str(folder)},
            "claimRef": {"namespace": platform.NAMESPACE, "name": claim},
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
def bot_api(node):
    with BotApi().serving(platform.this_machine()) as running:
        yield running


@pytest.fixture(scope="module")
def up(outside, bot_api, images, spark_operator, namespaces, tmp_path_factory):
    """The whole platform, its pods ready and trades flowing."""
    chosen = platform.values(
        *outside.exposed(),
        serving.bootstrap_model(),
        producer={"replicas": PRODUCERS, **SMALL},
        trainer={"suspend": True, "rollout": {"timeoutSeconds": 240, "watchSeconds": 20}, **SMALL},
        simulator={"enabled": True, **SMALL},
        board=SMALL,
        notifier=notifier_targets.values(bot_api) | SMALL,
        spark={"rules": notifier_targets.RULES},
    )
    notifier_targets.apply_secret(bot_api)
    # What one pod can press out of a busy machine must be far above the requests of a replica.
    chosen["apps"]["inference"] |= {"progressDeadlineSeconds": 120, **SMALL}
    path = platform.write(tmp_path_factory.mktemp("values"), chosen)
    folder = Path("/var/tmp") / f"tapeline-test-{uuid.uuid4().hex[:8]}"
    storage_class, provisions = default_storage_class()
    volumes = [volume(claim, folder / claim, storage_class) for claim in CLAIMS]
    if not provisions:
        assert apply(volumes).code == 0
    platform.install(path)
    try:
        running.wait_rolled_out(platform.NAMESPACE, "tapeline-simulator")
        running.wait_rolled_out(platform.INFERENCE, "inference")
        for name in ("producer", "board", "notifier"):
            running.wait_rolled_out(platform.NAMESPACE, f"tapeline-{name}")
        manifest = yaml.safe_load((ROOT / "k8s" / "spark-application.yaml").read_text())
        image = f"{platform.REGISTRY}/tapeline/spark:{running.VERSION}"
        manifest["spec"] |= {"image": image, "imagePullPolicy": "Always"}
        for part in ("driver", "executor"):
            manifest["spec"][part]["coreRequest"] = "100m"
        response = apply([manifest])
        assert response.code == 0, response.err
        elastic = Elasticsearch(outside.addresses.elasticsearch)
        eventually(
            lambda: count(elastic) > 100, f"trades are searchable\n{running.diagnostics(platform.NAMESPACE)}", 300
        )
        yield elastic
        elastic.close()
    finally:
        kubectl("-n", platform.NAMESPACE, "delete", "sparkapplication", "--all", "--wait=true", "--timeout=120s")
        platform.uninstall()
        for one in volumes:
            run("kubectl", "delete", "pv", one["metadata"]["name"], "--ignore-not-found", "--timeout=60s")


def count(elastic: Elasticsearch) -> int:
    try:
        return readers.count_documents(elastic, f"{names.INDEX_TRADES_PREFIX}*")
    except ApiError as error:
        # The day's index is being made at this moment.
        assert error.status_code == 503, error
        return 0


def flows(elastic: Elasticsearch) -> None:
    before = count(elastic)
    eventually(lambda: count(elastic) > before + 200, "trades become searchable", 180)


@contextmanager
def exchange_paused() -> Iterator[None]:
    with running.forwarded(platform.NAMESPACE, "svc/tapeline-simulator", 8082) as url:
        httpx.post(f"{url}/simulator/pause", trust_env=False).raise_for_status()
        try:
            yield
        finally:
            httpx.post(f"{url}/simulator/resume", trust_env=False).raise_for_status()


def wait_idle(elastic: Elasticsearch) -> None:
    seen = {"count": -1, "since": time.monotonic()}

    def is_idle() -> bool:
        now = count(elastic)
        if now != seen["count"]:
            seen.update(count=now, since=time.monotonic())
        return time.monotonic() - seen["since"] > IDLE_S

    eventually(is_idle, "the pipeline is idle", 180)


def reconcile_when_idle(elastic: Elasticsearch) -> ReconciliationReport:
    """Pause the exchange, wait until the pipeline is idle, reconcile, and resume the exchange."""
    with exchange_paused():
        wait_idle(elastic)
        return reconcile(running.read_ledger(), readers.read_trades(elastic), readers.read_gaps(elastic))


def served(elastic: Elasticsearch) -> set[str]:
    """Return which models the newest predictions name."""
    newest = elastic.search(
        index=f"{names.INDEX_TRADES_PREFIX}*",
        size=50,
        query={"term": {"prediction_state": PredictionState.OK}},
        sort=[{"indexed_at": "desc"}],
    )
    return {hit["_source"]["model_digest"] for hit in newest["hits"]["hits"]}


def test_trades_flow_through_pods_with_predictions_and_the_ledger_is_reconciled(up):
    flows(up)
    eventually(lambda: served(up), "predictions arrive", 120)
    found = reconcile_when_idle(up)
    assert found.is_reconciled(), found.as_dict()
    assert found.sent > 300
    drivers = items("pods", platform.NAMESPACE, "spark-role=driver")
    executors = items("pods", platform.NAMESPACE, "spark-role=executor")
    assert len(drivers) == 1 and len(executors) >= 1


def test_the_board_in_its_pod_is_green_over_the_counts_of_elasticsearch(up):
    with running.forwarded(platform.NAMESPACE, "svc/tapeline-board", 8090) as url:
        page = httpx.get(url, trust_env=False)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        closed = eventually(lambda: reconciled_minutes(url), "two minutes are reconciled", 240)
    for minute in closed:
        stored = up.count(
            index=f"{names.INDEX_TRADES_PREFIX}*",
            query={"range": {"@timestamp": {"gte": minute["at"], "lt": minute["at"] + 60_000}}},
        )["count"]
        assert minute["distinct"] == minute["indexed"] == stored, minute
        # Replicas that hand symbols over read some trades twice.
        assert minute["received"] == minute["produced"] == minute["logged"] >= stored, minute
    assert sum(minute["indexed"] for minute in closed) > 300


def reconciled_minutes(url: str) -> list[dict]:
    """Return the complete minutes of the last 15, once there are two and all are reconciled."""
    response = httpx.get(f"{url}/api/reconciliation", trust_env=False, timeout=20.0).raise_for_status()
    body = response.json()
    closed = [minute for minute in body["minutes"] if minute["state"] == "complete"]
    return closed if body["is_reconciled"] and len(closed) >= 2 else []


def test_each_alert_reaches_its_targets_once_while_the_notifier_pod_is_replaced(up, bot_api):
    eventually(lambda: notifier_targets.alert_ids(bot_api), "the first alerts arrive", 240)
    (first,) = running.pods(platform.NAMESPACE, "app.kubernetes.io/name=notifier")
    kubectl("-n", platform.NAMESPACE, "delete", "pod", first)
    before = len(notifier_targets.alert_ids(bot_api))
    running.wait_rolled_out(platform.NAMESPACE, "tapeline-notifier")
    eventually(lambda: len(notifier_targets.alert_ids(bot_api)) > before + 3, "alerts arrive after that", 240)
    with exchange_paused():
        wait_idle(up)
        eventually(lambda: notifier_targets.alert_ids(bot_api) == alert_ids(up), "the webhook took each alert once", 60)
        eventually(lambda: notifier_targets.count_in_chat(bot_api) == len(alert_ids(up)), "so did the chat", 60)


def alert_ids(elastic: Elasticsearch) -> list[str]:
    elastic.indices.refresh(index=names.INDEX_ALERTS)
    found = elastic.search(index=names.INDEX_ALERTS, size=5_000)["hits"]["hits"]
    return sorted(hit["_source"]["alert_id"] for hit in found)


def test_helm_test_finds_the_platform_whole(up):
    output = helm("test", "tapeline", "-n", platform.NAMESPACE, "--logs", "--timeout", "180s")
    assert "Phase:          Succeeded" in output, output


def test_a_producer_replica_that_is_killed_loses_nothing(up):
    assert running.replicas(platform.NAMESPACE, "tapeline-producer") == PRODUCERS
    (first, *_) = running.pods(platform.NAMESPACE, "app.kubernetes.io/name=producer")
    kubectl("-n", platform.NAMESPACE, "delete", "pod", first, "--grace-period=0", "--force")
    flows(up)
    running.wait_rolled_out(platform.NAMESPACE, "tapeline-producer")
    flows(up)
    found = reconcile_when_idle(up)
    assert found.is_reconciled(), found.as_dict()


def test_load_scales_inference_out_and_back_without_a_failed_call(up, capsys):
    running.wait_replicas(platform.INFERENCE, "inference", 1, 400)
    with load_generator.under_load("load-for-scale", seconds=120, threads=4):
        out_s = running.wait_replicas(platform.INFERENCE, "inference", 3, 180)
        counted = load_generator.outcome("load-for-scale", 240)
    back_s = running.wait_replicas(platform.INFERENCE, "inference", 1, 600)
    with capsys.disabled():
        sys.stdout.write(f"\n1 to 3 replicas in {out_s:.0f} s, back to 1 in {back_s:.0f} s after the load; {counted}\n")
    assert counted["calls"] > 100
    assert counted["failed"] == 0, counted


def test_a_model_is_trained_and_rolled_out_under_load_without_a_failed_call(up):
    before = get("deployment", "inference", platform.INFERENCE)
    eventually(lambda: count(up) > 6_000, "there are enough trades to train on", 300)
    run("kubectl", "-n", platform.NAMESPACE, "delete", "job", "by-hand", "--ignore-not-found")
    with load_generator.under_load("load-for-model", seconds=240, threads=1):
        kubectl("-n", platform.NAMESPACE, "create", "job", "by-hand", "--from=cronjob/tapeline-trainer")
        wait = ("wait", "job/by-hand", "--for=condition=Complete", "--timeout=420s")
        response = run("kubectl", "-n", platform.NAMESPACE, *wait, timeout_s=450)
        counted = load_generator.outcome("load-for-model", 300)
    log = run("kubectl", "-n", platform.NAMESPACE, "logs", "job/by-hand", "--tail=40").out
    assert response.code == 0, log
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
