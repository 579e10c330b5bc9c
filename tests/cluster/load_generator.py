"""A pod that calls /predict like the stream, and prints the number of calls and failures at its end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support import eventually

from cluster import platform, running
from cluster.kube import apply, get, kubectl, run

# Runs in the pod, with the stream's image. Every call opens a connection, so that the calls reach every replica.
_SCRIPT = """
import http.client, json, sys, threading, time
from tapeline.model import features
seconds, threads, host = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
row = dict.fromkeys(features.FEATURE_NAMES, 0.5)
body = json.dumps({"rows": [row] * 200})
calls, failed, reasons = [0], [0], {}
def work():
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(host, timeout=5)
        try:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
            failure = None if response.status == 200 else f"{response.status} {content[:80]!r}"
        except OSError as error:
            failure = repr(error)
        finally:
            connection.close()
        calls[0] += 1
        if failure:
            failed[0] += 1
            reasons[failure] = reasons.get(failure, 0) + 1
workers = [threading.Thread(target=work) for _ in range(threads)]
[w.start() for w in workers]; [w.join() for w in workers]
print(json.dumps({"calls": calls[0], "failed": failed[0], "reasons": reasons}))
"""


def _pod(name: str, seconds: int, threads: int) -> dict[str, Any]:
    host = f"inference.{platform.INFERENCE}.svc:8000"
    container = {
        "name": "load",
        "image": f"{platform.REGISTRY}/tapeline/spark:{running.VERSION}",
        "command": ["python", "-c", _SCRIPT, str(seconds), str(threads), host],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }
    # With the labels of the pod of `helm test`: the network policies admit only this pod and the stream.
    labels = {"app.kubernetes.io/name": "test", "app.kubernetes.io/part-of": "tapeline"}
    return running.restricted_pod(name, labels, 185, container)


@contextmanager
def under_load(name: str, seconds: int, threads: int) -> Iterator[None]:
    """Put load on inference for some seconds, from the start of the block."""
    result = apply([_pod(name, seconds, threads)])
    assert result.code == 0, result.err
    try:
        phase = lambda: get("pod", name, platform.NAMESPACE)["status"]["phase"]  # noqa: E731
        eventually(lambda: phase() == "Running", "the load generator runs", 120)
        yield
    finally:
        run("kubectl", "-n", platform.NAMESPACE, "delete", "pod", name, "--ignore-not-found", "--grace-period=0")


def outcome(name: str, timeout_s: int) -> dict[str, Any]:
    """Wait for the end and return the numbers of calls and failures, and the reasons."""
    wait = ("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={timeout_s}s")
    kubectl("-n", platform.NAMESPACE, *wait, timeout_s=timeout_s + 30)
    counted: dict[str, Any] = json.loads(kubectl("-n", platform.NAMESPACE, "logs", name).splitlines()[-1])
    return counted
