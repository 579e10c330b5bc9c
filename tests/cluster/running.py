"""Helpers for pods, Deployments, the ledger in its pod, and port-forwards."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from support import eventually
from tapeline_local.demo import readers
from tapeline_local.demo.reconcile import LedgerTrade

from cluster import platform
from cluster.kube import items, kubectl, program, run

HERE = os.environ.get("CLUSTER_REGISTRY_HERE", platform.REGISTRY)
"""Address of the registry on this machine."""
SERVICES = ("producer", "inference", "trainer", "spark", "simulator", "board", "notifier", "dashboards")
VERSION = "0.1.0"


def restricted_pod(
    name: str, labels: dict[str, str], user: int, container: dict[str, Any], volumes: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return a pod of a test that runs once, as a non-root user, and meets the restricted profile."""
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
    """Return our images that are missing from the registry."""
    accept = {
        "Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    }
    missing = []
    for service in SERVICES:
        try:
            result = httpx.get(
                f"http://{HERE}/v2/tapeline/{service}/manifests/{VERSION}", headers=accept, trust_env=False
            )
            found = result.status_code == httpx.codes.OK
        except httpx.HTTPError:
            found = False
        if not found:
            missing.append(service)
    return missing


def wait_rolled_out(namespace: str, name: str, timeout_s: int = 300) -> None:
    """Wait until every replica of a Deployment is up to date and is_ready."""
    command = ("-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={timeout_s}s")
    result = run("kubectl", *command, timeout_s=timeout_s + 30)
    assert result.code == 0, result.out + result.err + diagnostics(namespace)


def diagnostics(namespace: str) -> str:
    """Return the pods and the newest events of a namespace."""
    pods = run("kubectl", "-n", namespace, "get", "pods", "-o", "wide").out
    events = run("kubectl", "-n", namespace, "get", "events", "--sort-by=.lastTimestamp").out.splitlines()
    return "\n".join([pods, *events[-15:]])


def pods(namespace: str, selector: str) -> list[str]:
    """Return the names of running pods."""
    found = items("pods", namespace, selector)
    return [p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"] and is_ready(p)]


def is_ready(pod: dict) -> bool:
    """Return whether a pod is is_ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def read_ledger() -> list[LedgerTrade]:
    """Return the rows of the ledger of the simulator's pod."""
    (pod,) = pods(platform.NAMESPACE, "app.kubernetes.io/name=simulator")
    script = (
        "import os,sys;from tapeline_simulator.settings import Settings;"
        "sys.stdout.write(open(Settings().ledger).read())"
    )
    text = kubectl("-n", platform.NAMESPACE, "exec", pod, "--", "python", "-c", script)
    return [readers.parse_row(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


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
    """Return the number of ready replicas of a Deployment."""
    result = kubectl("-n", namespace, "get", "deployment", name, "-o", "jsonpath={.status.readyReplicas}")
    return int(result or 0)


def wait_replicas(namespace: str, name: str, count: int, timeout_s: float) -> float:
    """Wait for a number of is_ready replicas; return the seconds it took."""
    started = time.monotonic()
    eventually(lambda: replicas(namespace, name) == count, f"{name} has {count} is_ready replicas", timeout_s)
    return time.monotonic() - started
