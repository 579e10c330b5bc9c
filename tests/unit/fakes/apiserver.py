"""An API server with one Deployment and a controller that does its work a step at a time, once a look.

Every read of the Deployment is one second of its clock and one step of the controller. JSON patches are applied
whole or not at all. As the real one, it leaves an old ProgressDeadlineExceeded standing for a step after the
controller has seen a new generation.
"""

import copy
import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from unit.fakes.web import Answer

START = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
DEADLINE_STEPS = 4
Document = dict[str, Any]


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(code: int, message: str) -> Answer:
    return code, {}, json.dumps({"kind": "Status", "message": message, "code": code}).encode()


class PatchRefused(Exception):
    """A test operation did not hold, or a path is not there."""


def apply(document: Any, operations: list[Document]) -> Any:
    """Return the document with an RFC 6902 patch applied."""
    changed = copy.deepcopy(document)
    for operation in operations:
        *way, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        place = changed
        try:
            for step in way:
                place = place[int(step)] if isinstance(place, list) else place[step]
            key = int(last) if isinstance(place, list) else last
            if operation["op"] == "add":
                place[key] = operation["value"]
            elif operation["op"] == "remove":
                del place[key]
            elif operation["op"] == "replace":
                place[key] = operation["value"] if key in place else place[key]
            elif place[key] != operation["value"]:
                raise PatchRefused(operation["path"])
        except (KeyError, IndexError, TypeError) as error:
            raise PatchRefused(operation["path"]) from error
    return changed


class FakeCluster:
    """The Deployment `inference`.

    Attributes:
        broken: references whose pods never become available.
        stuck: references whose pods never become available, without the controller ever giving up.
        patches: the operations that were sent, applied or not.
        refusals: statuses that the next patches get; each is applied first where it is 504.
        failures: statuses that the next reads get.
    """

    def __init__(self, reference: str, *, replicas: int = 2, annotations: dict[str, str] | None = None) -> None:
        self.clock = START
        self.broken: Collection[str] = set()
        self.stuck: Collection[str] = set()
        self.patches: list[list[Document]] = []
        self.refusals: list[int] = []
        self.failures: list[int] = []
        self.managed: list[Document] = []
        metadata = {"labels": {"app": "inference"}} | ({} if annotations is None else {"annotations": annotations})
        volumes = [{"name": "tmp", "emptyDir": {}}, {"name": "model", "image": {"reference": reference}}]
        self.spec: Document = {
            "replicas": replicas,
            "template": {"metadata": metadata, "spec": {"containers": [{"name": "inference"}], "volumes": volumes}},
        }
        self.generation = self.observed = 1
        self.seen = copy.deepcopy(self.spec)
        self.sets: list[Document] = [{"template": copy.deepcopy(self.spec["template"]), "ready": replicas}]
        self.condition: Document = {"reason": "NewReplicaSetAvailable", "at": self.clock}
        self.waited = 0

    @property
    def reference(self) -> str:
        return self.reference_in(self.spec["template"])

    @property
    def served(self) -> set[str]:
        """References of the pods that answer."""
        return {self.reference_in(found["template"]) for found in self.sets if found["ready"]}

    @staticmethod
    def reference_in(template: Document) -> str:
        image = next((v["image"] for v in template["spec"]["volumes"] if "image" in v), None)
        return image["reference"] if image else template["metadata"]["annotations"]["tapeline/model-reference"]

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        path = target.partition("?")[0]
        base = "/apis/apps/v1/namespaces/tapeline-inference"
        if path == f"{base}/replicasets" and method == "GET":
            return 200, {}, json.dumps({"items": self._sets()}).encode()
        if path != f"{base}/deployments/inference" or method not in ("GET", "PATCH"):
            return status_of(403, f"{method} {path} is forbidden")
        if method == "PATCH":
            return self._patch(headers, target, json.loads(body))
        if self.failures:
            return status_of(self.failures.pop(0), "not now")
        self.step()
        return 200, {}, json.dumps(self.document()).encode()

    def _patch(self, headers: dict[str, str], target: str, operations: list[Document]) -> Answer:
        self.patches.append(operations)
        if headers["Content-Type"] != "application/json-patch+json" or "fieldManager=tapeline-trainer" not in target:
            return status_of(415, "not a JSON patch of the trainer")
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal not in (None, 504):
            return status_of(refusal, "denied by policy tapeline-trainer-model-only")
        try:
            changed = apply({"spec": self.spec}, operations)["spec"]
        except PatchRefused as error:
            return status_of(422, f"the server rejected our request due to an error in our request: {error}")
        self.change(changed)
        self.managed = [{"manager": "tapeline-trainer", "operation": "Update", "time": stamp(self.clock)}]
        return status_of(504, "timed out") if refusal else (200, {}, json.dumps(self.document()).encode())

    def change(self, spec: Document) -> None:
        """Take a new specification, as from anybody."""
        if spec != self.spec:
            self.spec = spec
            self.generation += 1

    def step(self) -> None:
        """One second: the controller sees the newest generation, then moves one pod."""
        self.clock += timedelta(seconds=1)
        if self.observed < self.generation:
            self.observed, self.seen, self.waited = self.generation, copy.deepcopy(self.spec), 0
            self._newest()
            return
        newest, wanted = self._newest(), self.seen["replicas"]
        reference = self.reference_in(newest["template"])
        old = [found for found in self.sets if found is not newest]
        if newest["ready"] < wanted and reference not in self.broken and reference not in self.stuck:
            newest["ready"] += 1
            self.condition = {"reason": "ReplicaSetUpdated", "at": self.clock}
        elif newest["ready"] >= wanted:
            newest["ready"] = wanted
            for found in old:
                found["ready"] = 0
            self.condition = {"reason": "NewReplicaSetAvailable", "at": self.clock}
        else:
            self.waited += 1
            gives_up = self.waited >= DEADLINE_STEPS and reference in self.broken
            if gives_up and self.condition["reason"] != "ProgressDeadlineExceeded":
                self.condition = {"reason": "ProgressDeadlineExceeded", "at": self.clock}

    def _newest(self) -> Document:
        for found in self.sets:
            if found["template"] == self.seen["template"]:
                self.sets.remove(found)
                self.sets.append(found)
                return found
        self.sets.append({"template": copy.deepcopy(self.seen["template"]), "ready": 0})
        if self.condition["reason"] == "ProgressDeadlineExceeded":
            self.condition = {"reason": "NewReplicaSetCreated", "at": self.clock}
        return self.sets[-1]

    def document(self) -> Document:
        newest = self.sets[-1]
        old = sum(found["ready"] for found in self.sets[:-1])
        # A pod that does not become available is there all the same.
        unready = 1 if newest["ready"] < self.seen["replicas"] else 0
        condition = {
            "type": "Progressing",
            "reason": self.condition["reason"],
            "message": f"ReplicaSet said {self.condition['reason']}",
            "lastUpdateTime": stamp(self.condition["at"]),
        }
        return {
            "metadata": {"uid": "u-1", "generation": self.generation, "managedFields": self.managed},
            "spec": self.spec,
            "status": {
                "observedGeneration": self.observed,
                "replicas": old + newest["ready"] + unready,
                "updatedReplicas": newest["ready"] + unready,
                "availableReplicas": old + newest["ready"],
                "conditions": [{"type": "Available", "reason": "MinimumReplicasAvailable"}, condition],
            },
        }

    def _sets(self) -> list[Document]:
        return [
            {
                "metadata": {
                    "ownerReferences": [{"uid": "u-1"}],
                    "annotations": {"deployment.kubernetes.io/revision": str(number)},
                },
                "spec": {"template": found["template"]},
                "status": {"availableReplicas": found["ready"]} if found["ready"] else {},
            }
            for number, found in enumerate(self.sets, start=1)
        ]
