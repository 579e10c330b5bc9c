"""`helm template` as dictionaries; each combination is rendered once a run."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tapeline_local import paths

Document = dict[str, Any]

CHARTS = paths.CHECKOUT / "charts"
PLATFORM = CHARTS / "tapeline"
HELM = paths.TOOLS / "bin" / "helm"
RELEASE, NAMESPACE, INFERENCE = "tapeline", "tapeline", "tapeline-inference"
MODEL = f"localhost:5001/tapeline/models@sha256:{'a' * 64}"
# What the API server of a cluster with all operators knows beside Kubernetes' own kinds.
OPERATORS = (
    "kafka.strimzi.io/v1/Kafka",
    "elasticsearch.k8s.elastic.co/v1/Elasticsearch",
    "kibana.k8s.elastic.co/v1/Kibana",
    "keda.sh/v1alpha1/ScaledObject",
    "monitoring.coreos.com/v1/ServiceMonitor",
)
_HERE = Path(__file__).parent / "values"
VALUES = {
    "default": (),
    "small": (PLATFORM / "values-small.yaml",),
    "production": (PLATFORM / "values-production.yaml",),
    "all-on": (_HERE / "all-on.yaml",),
    "outside": (_HERE / "outside.yaml",),
    "fetched": (_HERE / "fetched.yaml",),
    "folder": (_HERE / "folder.yaml",),
}


@dataclass(frozen=True)
class HelmResult:
    """What helm said."""

    code: int
    out: str
    err: str


def helm(*arguments: str) -> HelmResult:
    """Run our helm."""
    program = HELM if HELM.exists() else Path("helm")
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise AssertionError("helm is not there: run `make setup`, or put helm 4 on the PATH") from error
    lines = [line for line in done.stderr.splitlines() if "found symbolic link" not in line]
    return HelmResult(done.returncode, done.stdout, "\n".join(lines))


def template(
    *arguments: str, chart: Path = PLATFORM, knows: tuple[str, ...] = OPERATORS, model: str | None = MODEL
) -> HelmResult:
    """Run `helm template`; `knows` are the operators' kinds that the cluster is said to have."""
    apis = [word for kind in knows for word in ("--api-versions", kind)]
    prefix = "apps." if chart == PLATFORM else ""
    given = (
        ["--set", f"{prefix}inference.model.reference={model}"] if model and chart.name in ("tapeline", "apps") else []
    )
    return helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, *apis, *given, *arguments)


def documents(text: str) -> list[Document]:
    """Read YAML documents, leaving out empty ones."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


@cache
def rendered(values: str) -> tuple[Document, ...]:
    """Return everything the platform's chart makes of one of VALUES."""
    result = template(*(word for path in VALUES[values] for word in ("--values", str(path))))
    assert result.code == 0, result.err
    return tuple(documents(result.out))


@cache
def with_settings(*settings: str, chart: str = "tapeline") -> tuple[Document, ...]:
    """Return what a chart makes of its defaults and some `--set`."""
    result = template(*(word for one in settings for word in ("--set", one)), chart=CHARTS / chart)
    assert result.code == 0, result.err
    return tuple(documents(result.out))


def of_kind(found: tuple[Document, ...], *kinds: str) -> list[Document]:
    """Return the documents of some kinds."""
    return [document for document in found if document["kind"] in kinds]


def one(found: tuple[Document, ...], kind: str, name: str) -> Document:
    """Return the one document of a kind and name."""
    (document,) = [each for each in of_kind(found, kind) if each["metadata"]["name"] == name]
    return document


def label(document: Document) -> str:
    """Return what a person calls a document."""
    return f"{document['kind']}/{document['metadata']['name']}"


def namespace(document: Document) -> str:
    """Return where a document goes."""
    return str(document["metadata"].get("namespace", NAMESPACE))
