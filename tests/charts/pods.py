"""The pods among rendered documents, and what they lean on."""

from collections.abc import Iterator
from dataclasses import dataclass

from charts.render import Document, label, namespace


@dataclass(frozen=True)
class Workload:
    """A pod that a document makes.

    Attributes:
        document: what makes it.
        template: its metadata and spec.
    """

    document: Document
    template: Document

    @property
    def name(self) -> str:
        return label(self.document)

    @property
    def namespace(self) -> str:
        return namespace(self.document)

    @property
    def spec(self) -> Document:
        return self.template["spec"]

    @property
    def labels(self) -> dict[str, str]:
        return self.template["metadata"]["labels"]

    @property
    def containers(self) -> list[Document]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def service(self) -> str:
        return self.labels["app.kubernetes.io/name"]


def workloads(found: tuple[Document, ...]) -> Iterator[Workload]:
    """Yield every pod of ours."""
    for document in found:
        kind = document["kind"]
        if kind == "Pod":
            yield Workload(document, document)
        elif kind in ("Deployment", "Job"):
            yield Workload(document, document["spec"]["template"])
        elif kind == "CronJob":
            yield Workload(document, document["spec"]["jobTemplate"]["spec"]["template"])


def environment(workload: Workload, found: tuple[Document, ...]) -> dict[str, str | None]:
    """Return the variables of a workload's main containers; None where a Secret has the value."""
    variables: dict[str, str | None] = {}
    for container in workload.spec["containers"]:
        for source in container.get("envFrom", []):
            variables |= config_map(found, workload.namespace, source["configMapRef"]["name"])["data"]
        for entry in container.get("env", []):
            assert entry["name"] not in variables, entry["name"]
            variables[entry["name"]] = entry.get("value")
    return variables


def config_map(found: tuple[Document, ...], where: str, name: str) -> Document:
    """Return a ConfigMap of a namespace."""
    (document,) = [
        each
        for each in found
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name and namespace(each) == where
    ]
    return document


def secret_references(workload: Workload) -> set[tuple[str, str]]:
    """Return (Secret, key) of everything a workload takes from Secrets."""
    found = set()
    for volume in workload.spec.get("volumes", []):
        if "secret" in volume:
            found |= {(volume["secret"]["secretName"], item["key"]) for item in volume["secret"]["items"]}
    for container in workload.containers:
        for entry in container.get("env", []):
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                found.add((reference["name"], reference["key"]))
    return found
