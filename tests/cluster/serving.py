"""Inference alone on the cluster, with a bootstrap model of a real registry; runs the trainer's roll-out."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster import platform, running
from cluster.kube import get, kubectl

# Unroutable addresses (TEST-NET-1): inference must not need Kafka or Elasticsearch.
UNROUTABLE = ("192.0.2.1:9092", "http://192.0.2.1:9200")


def bootstrap_model(probability: float = 0.5) -> str:
    """Push a constant model and return its reference for nodes."""
    env = {
        "PATH": "/usr/bin:/bin",
        "TRAINER_REGISTRY": running.HERE,
        "TRAINER_REGISTRY_REFERENCE": platform.REGISTRY,
        "TRAINER_REGISTRY_INSECURE": "true",
    }
    command = [sys.executable, "-m", "tapeline_trainer", "bootstrap-model", "--probability", str(probability)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()[-1]


@contextmanager
def inference(folder: Path, **settings: Any) -> Iterator[str]:
    """Install inference and the trainer's access to it, nothing else; yields the reference of the model."""
    first = bootstrap_model()
    off = {"enabled": False}
    chosen = platform.values(*UNROUTABLE, first, producer=off, simulator=off, bootstrap=off, trainer={"suspend": True})
    chosen["apps"]["inference"] |= {"autoscaling": {"kind": "none"}, **settings}
    platform.install(platform.write(folder, chosen))
    try:
        running.wait_rolled_out(platform.INFERENCE, "inference")
        yield first
    finally:
        platform.uninstall()


def trainers_kubeconfig(path: Path) -> Path:
    """Write a kubeconfig with the trainer's account only; return its path."""
    config = json.loads(kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    token = kubectl("-n", platform.NAMESPACE, "create", "token", "tapeline-trainer", "--duration=1h").strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def trainer(models: Path, kubeconfig: Path, registry: str = running.HERE) -> subprocess.Popen[str]:
    """Start `rollout-only` for the current bundle of a folder, with the trainer's rights."""
    env = {
        "PATH": "/usr/bin:/bin",
        "TRAINER_REGISTRY": registry,
        "TRAINER_REGISTRY_REFERENCE": platform.REGISTRY,
        "TRAINER_REGISTRY_INSECURE": "true",
        "TRAINER_KUBECONFIG": str(kubeconfig),
        "TRAINER_WATCH_S": "15",
    }
    command = [sys.executable, "-m", "tapeline_trainer", "rollout-only", "--models", str(models)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def reference() -> str:
    """Return the model image that the Deployment names."""
    volumes = get("deployment", "inference", platform.INFERENCE)["spec"]["template"]["spec"]["volumes"]
    (found,) = [volume["image"]["reference"] for volume in volumes if volume["name"] == "model"]
    return str(found)
