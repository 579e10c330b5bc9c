"""Documents against what the API server would check them against, unknown fields refused.

Kubernetes' own kinds by its OpenAPI of the pinned release, custom resources by the definitions their operators are
installed with. `make setup` puts both into .tools/schemas.json. Rules in CEL are not evaluated here.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from tapeline_local import paths

from charts.render import Document

FILE = paths.TOOLS / "schemas.json"
# Group as written, and as Kubernetes' definitions are named.
_GROUPS = {"": "core"}
_COMBINING = ("allOf", "anyOf", "oneOf", "not")
_KEEPS_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


@cache
def _all() -> dict[str, Any]:
    assert FILE.exists(), f"{FILE} is not there: run `make setup`; it says what it could not get"
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def _definition(document: Document) -> str:
    group, _, version = document["apiVersion"].rpartition("/")
    short = _GROUPS.get(group, group.partition(".")[0])
    return f"io.k8s.api.{short}.{version}.{document['kind']}"


@cache
def _validator(name: str) -> Draft202012Validator:
    """Return what checks a definition of Kubernetes, or a `group/version/Kind` of an operator."""
    definitions = _all()["kubernetes"]
    if name in definitions:
        return Draft202012Validator({"$defs": definitions, "$ref": f"#/$defs/{name}"})
    assert name in _all()["custom"], f"no schema of {name}: is the kind misspelt, or its operator not in packages.lock?"
    return Draft202012Validator(strict(_all()["custom"][name]))


def strict(schema: Any, *, closed: bool = True) -> Any:
    """Return a schema of a custom resource as JSON Schema that refuses what the API server would drop.

    Args:
        schema: as in a CustomResourceDefinition.
        closed: whether unknown fields are refused; not below allOf and its kin, which speak of some fields only.
    """
    if isinstance(schema, list):
        return [strict(each, closed=closed) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: value for key, value in schema.items() if key not in ("properties", "default", "example")}
    made = {key: strict(value, closed=closed and key not in _COMBINING) for key, value in plain.items()}
    # OpenAPI says exclusiveMinimum: true beside minimum; JSON Schema gives the number itself.
    for bound in ("Minimum", "Maximum"):
        if isinstance(made.get(f"exclusive{bound}"), bool) and made.pop(f"exclusive{bound}"):
            made[f"exclusive{bound}"] = made.pop(bound.lower())
    if made.pop("x-kubernetes-int-or-string", False):
        made["type"] = ["integer", "string"]
    if made.pop("nullable", False) and "type" in made:
        made["type"] = [made["type"], "null"]
    if "properties" in schema:
        made["properties"] = {name: strict(value, closed=closed) for name, value in schema["properties"].items()}
        if closed and not schema.get(_KEEPS_UNKNOWN) and "additionalProperties" not in schema:
            made["additionalProperties"] = False
    return made


def faults(document: Document) -> list[str]:
    """Return what is wrong with a document, in words; nothing where all is well."""
    name = _definition(document)
    if name in _all()["kubernetes"]:
        return list(_say(_validator(name), document))
    # The definitions leave out what every object has.
    own = {**document, "metadata": {}}
    custom = f"{document['apiVersion']}/{document['kind']}"
    return [*_say(_validator(_METADATA), document["metadata"]), *_say(_validator(custom), own)]


def _say(validator: Draft202012Validator, document: Any) -> Iterator[str]:
    for error in validator.iter_errors(document):
        yield f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}"
