import copy
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tapeline_local import paths
from tapeline_local.setup import pins

FILE = paths.CHECKOUT / "kind-config.yaml"
CONFIG = yaml.safe_load(FILE.read_text())
PINS = pins.read(paths.CHECKOUT)
KIND = shutil.which("kind")
needs_kind = pytest.mark.skipif(KIND is None, reason="no kind on the PATH: its own reading of the file is not proven")


def test_every_node_runs_the_pinned_image():
    assert {node["image"] for node in CONFIG["nodes"]} == {PINS["KIND_NODE_IMAGE"]}
    assert "@sha256:" in PINS["KIND_NODE_IMAGE"]


def test_the_cluster_is_called_as_make_calls_it():
    from tapeline_local.cluster import kind

    assert CONFIG["name"] == kind.CLUSTER


def test_image_volumes_need_no_feature_gate_at_the_pinned_version():
    minor = int(PINS["KIND_NODE_IMAGE"].split(":v1.")[1].split(".")[0])
    assert minor >= 35
    assert "featureGates" not in CONFIG


def test_containerd_looks_where_the_address_of_the_registry_is_written():
    (patch,) = CONFIG["containerdConfigPatches"]
    assert 'config_path = "/etc/containerd/certs.d"' in patch


def read_by_kind(config: object, folder: Path) -> str:
    """Return what kind says of a config where no Docker is: it reads the config first."""
    file = folder / "kind.yaml"
    file.write_text(yaml.safe_dump(config))
    bare = {"HOME": str(folder), "PATH": os.defpath, "DOCKER_HOST": f"unix://{folder}/none.sock"}
    command = [str(KIND), "create", "cluster", "--config", str(file), "--kubeconfig", str(folder / "kubeconfig")]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    return done.stdout + done.stderr


@needs_kind
def test_kind_takes_the_file_and_stops_only_at_the_missing_docker(tmp_path):
    said = read_by_kind(CONFIG, tmp_path)
    assert "unable to decode" not in said
    assert "docker" in said.lower()


@needs_kind
def test_kind_refuses_a_field_it_does_not_know(tmp_path):
    wrong = copy.deepcopy(CONFIG)
    wrong["nodes"][0]["imagee"] = "x"
    assert "field imagee not found" in read_by_kind(wrong, tmp_path)
