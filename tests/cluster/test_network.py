"""Who may talk to whom: from every role to every other, and to what lies outside, both allowed and refused.

A small pod stands for each role by its labels and listens on the ports of all services. The truth is `ALLOWED`;
everything that it does not name must be refused.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from support import eventually

from cluster import platform, running
from cluster.kube import apply, get, kubectl, run

pytestmark = pytest.mark.timeout(600)
ELSEWHERE, MONITORING = "tapeline-test-elsewhere", "tapeline-test-monitoring"
NAME, PART_OF = "app.kubernetes.io/name", "app.kubernetes.io/part-of"
PORTS = (8000, 8080, 8082, 7078)
OUTSIDE = ("kafka", "elasticsearch", "registry", "outside")

ROLES = {
    **{role: (platform.NAMESPACE, {NAME: role, PART_OF: "tapeline"}) for role in ("producer", "simulator")},
    **{role: (platform.NAMESPACE, {NAME: role, PART_OF: "tapeline"}) for role in ("trainer", "bootstrap", "test")},
    "inference": (platform.INFERENCE, {NAME: "inference", PART_OF: "tapeline"}),
    "driver": (platform.NAMESPACE, {"spark-role": "driver"}),
    "executor": (platform.NAMESPACE, {"spark-role": "executor"}),
    "nobody": (platform.NAMESPACE, {NAME: "nobody"}),
    "nobody-beside-inference": (platform.INFERENCE, {NAME: "nobody"}),
    "monitoring": (MONITORING, {NAME: "prometheus"}),
    "stranger": (ELSEWHERE, {NAME: "producer", PART_OF: "tapeline"}),
}
_SPARK = {("inference", 8000), ("kafka", 0), ("elasticsearch", 0), ("api-server", 0), ("names", 0)} | {
    (part, port) for part in ("driver", "executor") for port in PORTS
}
_FREE = {("kafka", 0), ("elasticsearch", 0), ("registry", 0), ("outside", 0), ("api-server", 0), ("names", 0)}
_OPEN = {(role, port) for role in ("monitoring", "stranger") for port in PORTS}
ALLOWED: dict[str, set[tuple[str, int]]] = {
    "producer": {("simulator", 8082), ("kafka", 0), ("names", 0)},
    "simulator": set(),
    "inference": set(),
    "driver": _SPARK,
    "executor": _SPARK,
    "trainer": {("inference", 8000), ("elasticsearch", 0), ("registry", 0), ("api-server", 0), ("names", 0)},
    "bootstrap": {("elasticsearch", 0), ("names", 0)},
    "test": {("inference", 8000), ("elasticsearch", 0), ("names", 0)},
    "nobody": set(),
    "nobody-beside-inference": set(),
    # Not ours: their namespaces hold them back from nothing, ours let them in or not.
    "monitoring": _FREE
    | _OPEN
    | {("inference", 8000), ("producer", 8080), ("simulator", 8082), ("driver", 8080), ("executor", 8080)},
    "stranger": _FREE | _OPEN,
}

_LISTEN = f"""
import selectors, socket
chosen = selectors.DefaultSelector()
for port in {PORTS!r}:
    one = socket.create_server(("", port)); one.setblocking(False); chosen.register(one, selectors.EVENT_READ)
while True:
    for key, _ in chosen.select():
        key.fileobj.accept()[0].close()
"""
_TRY = """
import concurrent.futures, json, socket, sys
def reached(target):
    name, host, port = target
    try:
        if port == 0: socket.getaddrinfo(host, 443)
        else: socket.create_connection((host, port), timeout=3).close()
    except OSError: return None
    return name
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps([name for name in pool.map(reached, json.loads(sys.argv[1])) if name]))
"""


def pod(role: str) -> dict:
    namespace, labels = ROLES[role]
    container = {
        "name": "role",
        "image": f"{platform.REGISTRY}/tapeline/simulator:{running.VERSION}",
        "command": ["python", "-c", _LISTEN],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    quiet = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
    user = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"role-{role}", "namespace": namespace, "labels": labels},
        "spec": {"containers": [container], "securityContext": user, **quiet},
    }


@pytest.fixture(scope="module")
def outside(node) -> Iterator[dict[str, int]]:
    """Ports of this machine that stand for what lies outside of the cluster."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context(socket.create_server(("", 0), backlog=256)) for name in OUTSIDE}
        yield {name: server.getsockname()[1] for name, server in opened.items()}


@pytest.fixture(scope="module")
def addresses(outside, images, namespaces, tmp_path_factory) -> Iterator[dict[str, tuple[str, int]]]:
    """The network rules of the whole platform, and a pod for each role; yields the address of every target."""
    here = platform.this_machine()
    bootstrap, elasticsearch = f"{here}:{outside['kafka']}", f"http://{here}:{outside['elasticsearch']}"
    chosen = platform.values(bootstrap, elasticsearch, platform.model("a"))
    rules = chosen["global"]["networkPolicies"]
    rules["registry"] = {"cidrs": [f"{here}/32"], "ports": [outside["registry"]]}
    rules["monitoringNamespace"] = MONITORING
    platform.install(platform.write(tmp_path_factory.mktemp("values"), chosen))
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in (ELSEWHERE, MONITORING)]
    try:
        for namespace in (platform.NAMESPACE, platform.INFERENCE):
            # Roles are played by pods of ours: the services themselves would only fail and start again.
            kubectl("-n", namespace, "scale", "deployment", "--all", "--replicas=0")
        result = apply([*made, *(pod(role) for role in ROLES)])
        assert result.code == 0, result.err
        for role, (namespace, _) in ROLES.items():
            kubectl("-n", namespace, "wait", f"pod/role-{role}", "--for=condition=Ready", "--timeout=180s")
        found = {name: (here, port) for name, port in outside.items()}
        found["api-server"] = (get("service", "kubernetes", "default")["spec"]["clusterIP"], 443)
        found["names"] = ("kubernetes.default.svc.cluster.local", 0)
        for role, (namespace, _) in ROLES.items():
            found[role] = (get("pod", f"role-{role}", namespace)["status"]["podIP"], 1)
        yield found
    finally:
        for role, (namespace, _) in ROLES.items():
            run("kubectl", "-n", namespace, "delete", "pod", f"role-{role}", "--ignore-not-found", "--wait=false")
        platform.uninstall()
        run("kubectl", "delete", "namespace", ELSEWHERE, MONITORING, "--ignore-not-found", "--timeout=120s")


def reached(role: str, addresses: dict[str, tuple[str, int]]) -> set[tuple[str, int]]:
    """Try everything from a role's pod; return what answered."""
    targets = [
        ((name, port), address, port)
        for name, (address, _) in addresses.items()
        if name in ROLES
        for port in PORTS
        if name != role
    ]
    targets += [((name, 0), *address) for name, address in addresses.items() if name not in ROLES]
    namespace, _ = ROLES[role]
    output = kubectl("-n", namespace, "exec", f"role-{role}", "--", "python", "-c", _TRY, json.dumps(targets))
    return {(name, port) for name, port in json.loads(output)}


@pytest.mark.parametrize("role", ROLES)
def test_it_reaches_what_it_needs_and_nothing_else(addresses, role):
    allowed = {target for target in ALLOWED[role] if target[0] != role}
    # Rules reach the node a moment after the pods; what still differs then, the comparison shows.
    with suppress(AssertionError):
        eventually(lambda: reached(role, addresses) == allowed, f"{role} reaches what it may", 20)
    assert reached(role, addresses) == allowed


def test_without_the_rules_everybody_reaches_everybody(addresses):
    """The probe itself: were it blind, every refusal above would be worth nothing."""
    assert not (reached("nobody", addresses) & {("inference", 8000)})
    for namespace in (platform.NAMESPACE, platform.INFERENCE):
        kubectl("-n", namespace, "delete", "networkpolicies", "--all")
    wanted = {(role, port) for role in ROLES for port in PORTS if role != "nobody"} | _FREE
    eventually(lambda: reached("nobody", addresses) == wanted, "nobody reaches everybody", 20)
