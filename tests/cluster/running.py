"""Looks into what runs in pods."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from support import eventually
from tapeline_local.demo.reconcile import Sent

from cluster import platform
from cluster.kube import items, kubectl, program, run

HERE = os.environ.get("CLUSTER_REGISTRY_HERE", platform.REGISTRY)
"""The registry as this machine reaches it."""
SERVICES = ("producer", "inference", "trainer", "spark", "simulator", "board", "notifier", "dashboards")
VERSION = "0.1.0"


def restricted_pod(
    name: str, labels: dict[str, str], user: int, container: dict[str, Any], volumes: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return a pod of a test's own, which runs once as a user and keeps to the restricted profile."""
    rules = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    account: dict[str, Any] = {"runAsNonRoot": True, "runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": account | ({"fsGroup": user} if volumes else {}),
        "containers": [container | {"securityContext": rules}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": platform.NAMESPACE, "labels": labels},
        "spec": spec | ({"volumes": list(volumes)} if volumes else {}),
    }


def missing_images() -> list[str]:
    """Return which of our images the registry does not have."""
    accept = {
        "Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    }
    missing = []
    for service in SERVICES:
        try:
            answer = httpx.get(
                f"http://{HERE}/v2/tapeline/{service}/manifests/{VERSION}", headers=accept, trust_env=False
            )
            found = answer.status_code == httpx.codes.OK
        except httpx.HTTPError:
            found = False
        if not found:
            missing.append(service)
    return missing


def wait_rolled_out(namespace: str, name: str, timeout_s: int = 300) -> None:
    """Wait until every replica of a Deployment is the newest and ready."""
    command = ("-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={timeout_s}s")
    answer = run("kubectl", *command, timeout_s=timeout_s + 30)
    assert answer.code == 0, answer.out + answer.err + why(namespace)


def why(namespace: str) -> str:
    """Return what a person would look at first: pods, and what happened to them."""
    pods = run("kubectl", "-n", namespace, "get", "pods", "-o", "wide").out
    events = run("kubectl", "-n", namespace, "get", "events", "--sort-by=.lastTimestamp").out.splitlines()
    return "\n".join([pods, *events[-15:]])


def pods(namespace: str, selector: str) -> list[str]:
    """Return the names of running pods."""
    found = items("pods", namespace, selector)
    return [p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"] and ready(p)]


def ready(pod: dict) -> bool:
    """Tell whether a pod is ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def ledger() -> list[Sent]:
    """Return what the simulator in its pod says it sent."""
    (pod,) = pods(platform.NAMESPACE, "app.kubernetes.io/name=simulator")
    script = (
        "import os,sys;from tapeline_simulator.settings import Settings;"
        "sys.stdout.write(open(Settings().ledger).read())"
    )
    text = kubectl("-n", platform.NAMESPACE, "exec", pod, "--", "python", "-c", script)
    return [sent(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def sent(row: dict) -> Sent:
    """Return a row of the ledger as the reconciliation wants it."""
    market = f"{row['market_type']}|{row['symbol']}"
    identity = f"bybit|{market}|{row['trade_id']}"
    return Sent(identity, market, row["traded_at"], row["price"], row["quantity"], row["side"])


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """Forward a port of a pod or Service to this machine; yields the URL."""
    command = [program("kubectl") or "kubectl", "-n", namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert "Forwarding from" in line, line
            yield f"http://127.0.0.1:{line.split(' -> ')[0].rsplit(':', 1)[1]}"
        finally:
            process.terminate()


def replicas(namespace: str, name: str) -> int:
    """Return how many ready replicas a Deployment has."""
    answer = kubectl("-n", namespace, "get", "deployment", name, "-o", "jsonpath={.status.readyReplicas}")
    return int(answer or 0)


def wait_replicas(namespace: str, name: str, count: int, timeout_s: float) -> float:
    """Wait for a number of ready replicas; return how many seconds it took."""
    started = time.monotonic()
    eventually(lambda: replicas(namespace, name) == count, f"{name} has {count} ready replicas", timeout_s)
    return time.monotonic() - started
