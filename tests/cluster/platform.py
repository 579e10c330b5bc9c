"""The platform on the cluster under test: brokers and Elasticsearch outside of it, everything of ours inside.

A registry beside kind is the default; CLUSTER_REGISTRY (as nodes name it) and CLUSTER_REGISTRY_PUSH (as pods reach
it) say otherwise.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.kube import ROOT, helm, kubectl

NAMESPACE, INFERENCE = "tapeline", "tapeline-inference"
CHART = ROOT / "charts" / "tapeline"
REGISTRY = os.environ.get("CLUSTER_REGISTRY", "localhost:5001")
REGISTRY_PUSH = os.environ.get("CLUSTER_REGISTRY_PUSH", "kind-registry:5000")
TRAINER = f"system:serviceaccount:{NAMESPACE}:tapeline-trainer"


def model(letter: str) -> str:
    """Return a reference that is well-formed and leads nowhere."""
    return f"{REGISTRY}/tapeline/models@sha256:{letter * 64}"


def this_machine() -> str:
    """Return the address of this machine as the cluster's pods reach it: where packets to the node leave from."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    (address, *_) = [a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0])


def values(brokers: str, elasticsearch: str, reference: str, **apps: Any) -> dict[str, Any]:
    """Return values with brokers and Elasticsearch at some addresses, and our services as given."""
    kafka_host, kafka_port = brokers.rsplit(":", 1)
    url = urlsplit(elasticsearch)
    push = REGISTRY_PUSH.rsplit(":", 1)
    return {
        "kafka": {"enabled": False},
        "elastic": {"enabled": False},
        "global": {
            "imageRegistry": REGISTRY,
            # A tag is overwritten by the next build, and the node may hold the image of the one before.
            "imagePullPolicy": "Always",
            "kafka": {"bootstrap": brokers, "securityProtocol": "PLAINTEXT", "caSecret": ""},
            "elasticsearch": {"url": elasticsearch, "security": False, "caSecret": ""},
            "networkPolicies": {
                "apiServer": {"cidrs": ["0.0.0.0/0"], "ports": [443, 6443, int(api_port())]},
                "registry": {"cidrs": ["10.0.0.0/8", "172.16.0.0/12"], "ports": [int(push[1])]},
                "kafka": {"cidrs": [f"{kafka_host}/32"], "ports": [int(kafka_port)]},
                "elasticsearch": {"cidrs": [f"{url.hostname}/32"], "ports": [url.port]},
            },
        },
        "apps": {
            "simulator": {"enabled": True},
            "inference": {"model": {"reference": reference}},
            "registry": {"push": REGISTRY_PUSH},
            **apps,
        },
    }


def api_port() -> str:
    """Return the port of the API server itself, which policies see behind its Service."""
    server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    return str(urlsplit(server).port or 443)


def write(folder: Path, chosen: dict[str, Any]) -> Path:
    """Write values for helm, which reads JSON as YAML."""
    path = folder / "values.yaml"
    path.write_text(json.dumps(chosen))
    return path


def install(path: Path, *more: str) -> None:
    """Install the platform, or bring it to these values, without waiting for pods."""
    command = ("upgrade", "--install", "tapeline", str(CHART), "-n", NAMESPACE, "-f", str(path))
    helm(*command, "--wait=hookOnly", *more)


def uninstall() -> None:
    """Take the platform away again."""
    helm("uninstall", "tapeline", "-n", NAMESPACE, "--ignore-not-found", "--wait")
