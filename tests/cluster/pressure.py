"""A pod that calls /predict as the stream does, counts what came back, and says so at its end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support import eventually

from cluster import platform, running
from cluster.kube import apply, get, kubectl, run

# In the pod: only what the stream's image holds. Every call is a connection of its own, so that it meets each replica.
_SCRIPT = """
import http.client, json, sys, threading, time
from tapeline import features
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
            answer = connection.getresponse()
            said = answer.read()
            wrong = None if answer.status == 200 else f"{answer.status} {said[:80]!r}"
        except OSError as error:
            wrong = repr(error)
        finally:
            connection.close()
        calls[0] += 1
        if wrong:
            failed[0] += 1
            reasons[wrong] = reasons.get(wrong, 0) + 1
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
    # With the labels of the pod of `helm test`: the network rules let it and the stream in, and nobody else.
    labels = {"app.kubernetes.io/name": "test", "app.kubernetes.io/part-of": "tapeline"}
    return running.restricted_pod(name, labels, 185, container)


@contextmanager
def pressing(name: str, seconds: int, threads: int) -> Iterator[None]:
    """Press on inference for some seconds, from the moment the block begins."""
    answer = apply([_pod(name, seconds, threads)])
    assert answer.code == 0, answer.err
    try:
        phase = lambda: get("pod", name, platform.NAMESPACE)["status"]["phase"]  # noqa: E731
        eventually(lambda: phase() == "Running", "the pod that presses runs", 120)
        yield
    finally:
        run("kubectl", "-n", platform.NAMESPACE, "delete", "pod", name, "--ignore-not-found", "--grace-period=0")


def outcome(name: str, patience_s: int) -> dict[str, Any]:
    """Wait for the end and return how many calls there were and how many failed, why."""
    wait = ("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={patience_s}s")
    kubectl("-n", platform.NAMESPACE, *wait, timeout_s=patience_s + 30)
    counted: dict[str, Any] = json.loads(kubectl("-n", platform.NAMESPACE, "logs", name).splitlines()[-1])
    return counted
