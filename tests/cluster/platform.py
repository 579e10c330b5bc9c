"""Installs the platform on the cluster under test: Kafka and Elasticsearch outside the cluster, our services inside.

The default registry is the one of `make kind-up`. CLUSTER_REGISTRY (the address for nodes) and CLUSTER_REGISTRY_PUSH
(the address for pods) override it.
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
    """Return a well-formed reference to an image that does not exist."""
    return f"{REGISTRY}/tapeline/models@sha256:{letter * 64}"


def this_machine() -> str:
    """Return the address of this machine for the cluster's pods: the source address of packets to the node."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    (address, *_) = [a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0])


def values(brokers: str, elasticsearch: str, reference: str, **apps: Any) -> dict[str, Any]:
    """Return values with the given Kafka and Elasticsearch addresses, and our services as given."""
    kafka_host, kafka_port = brokers.rsplit(":", 1)
    url = urlsplit(elasticsearch)
    push = REGISTRY_PUSH.rsplit(":", 1)
    return {
        "kafka": {"enabled": False},
        "elastic": {"enabled": False},
        "global": {
            "imageRegistry": REGISTRY,
            # The next build overwrites a tag, and the node may cache the image of the previous build.
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
    """Return the port of the API server behind its Service, which network policies match."""
    server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    return str(urlsplit(server).port or 443)


def write(folder: Path, chosen: dict[str, Any]) -> Path:
    """Write values as JSON, which helm reads as YAML."""
    path = folder / "values.yaml"
    path.write_text(json.dumps(chosen))
    return path


def install(path: Path, *more: str) -> None:
    """Install or upgrade the platform with these values, without waiting for pods."""
    command = ("upgrade", "--install", "tapeline", str(CHART), "-n", NAMESPACE, "-f", str(path))
    helm(*command, "--wait=hookOnly", *more)


def uninstall() -> None:
    """Uninstall the platform."""
    helm("uninstall", "tapeline", "-n", NAMESPACE, "--ignore-not-found", "--wait")
