"""Builds .tools/schemas.json, the schemas of Kubernetes and of the operators' custom resources.

    {"kubernetes": {definition: schema}, "custom": {"group/version/Kind": schema}}

Strimzi's own generator builds Strimzi's definitions from its published classes; the others are read as published.
To add an operator: its definitions in packages.lock, into the folder crds.
"""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from tapeline_local.errors import SetupError
from tapeline_local.setup.jvm import Jvm

KUBERNETES: Final = "kubernetes.json"
_GENERATOR: Final = "io.strimzi.crdgenerator.CrdGenerator"
_MODEL: Final = "io.strimzi.api.kafka.model"
_KINDS: Final = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
_TIMEOUT_S: Final = 120
Schema = dict[str, Any]


def custom(definitions: str) -> dict[str, Schema]:
    """Return the schemas of custom resources by group/version/Kind.

    Args:
        definitions: YAML documents; kinds other than CustomResourceDefinition are skipped.
    """
    found = {}
    for document in yaml.load_all(definitions, Loader=yaml.CSafeLoader):
        if not document or document["kind"] != "CustomResourceDefinition":
            continue
        spec = document["spec"]
        for version in spec["versions"]:
            if version["served"]:
                name = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
                found[name] = version["schema"]["openAPIV3Schema"]
    return found


def strimzi_definitions(java: Jvm, jars: Path) -> str:
    """Return Strimzi's definitions of the kinds that the charts use.

    Args:
        java: runs the generator.
        jars: folder with the jars `api` and `crd-generator`.

    Raises:
        SetupError: the generator failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {f"{_MODEL}.{kind}": Path(folder) / f"{kind}.yaml" for kind in _KINDS}
        command = [str(Path(java.java_home) / "bin" / "java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp"]
        command += [":".join(str(jar) for jar in sorted(jars.glob("*.jar"))), _GENERATOR, "--yaml"]
        command += [f"{name}={path}" for name, path in files.items()]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"the definitions of Strimzi could not be generated: {error}") from error
        if result.returncode:
            raise SetupError(f"the definitions of Strimzi could not be generated: {result.stderr[-2000:]}")
        return "\n---\n".join(path.read_text(encoding="utf-8") for path in files.values())


def write(java: Jvm, tools: Path, say: Callable[[str], None]) -> None:
    """Rebuild the file if its inputs changed.

    Args:
        java: for Strimzi's generator.
        tools: holds `crds` and `jars/strimzi`, gets `schemas.json`.
        say: where progress goes.
    """
    sources = sorted([*(tools / "crds").glob("*"), *(tools / "jars" / "strimzi").glob("*.jar")])
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in sources)).hexdigest()
    target, stamp = tools / "schemas.json", tools / "schemas.stamp"
    if target.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    if not (tools / "crds" / KUBERNETES).is_file():
        say("schemas of the cluster's resources: not built, because files were skipped")
        return
    found = custom(strimzi_definitions(java, tools / "jars" / "strimzi"))
    for path in (tools / "crds").glob("*.yaml"):
        found |= custom(path.read_text(encoding="utf-8"))
    definitions = json.loads((tools / "crds" / KUBERNETES).read_text(encoding="utf-8"))["$defs"]
    target.write_text(json.dumps({"kubernetes": definitions, "custom": found}), encoding="utf-8")
    stamp.write_text(digest, encoding="utf-8")
    say(f"schemas of the cluster's resources: Kubernetes and {len(found)} kinds of operators")
