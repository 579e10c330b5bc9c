"""Unknown fields of a Kubernetes object, by the typed models of the client library.

A SparkApplication's pod templates are free text to the API server: a misspelt field in them is dropped without a word.
"""

import re
from typing import Any

from kubernetes import client

_LIST = re.compile(r"List\[(\w+)\]$")


def unknown(value: Any, model: str, path: str) -> list[str]:
    """Return the paths of all fields that a model does not have.

    Args:
        value: part of a manifest.
        model: name of its class in kubernetes.client, or a plain type.
        path: of this part, for the result.
    """
    if found := _LIST.match(model):
        return [each for number, item in enumerate(value) for each in unknown(item, found[1], f"{path}[{number}]")]
    kind = getattr(client, model, None)
    if kind is None or not isinstance(value, dict):
        return []
    by_spelling = {spelling: name for name, spelling in kind.attribute_map.items()}
    wrong = [f"{path}.{key}" for key in value if key not in by_spelling]
    for key, part in value.items():
        if key in by_spelling:
            wrong += unknown(part, kind.openapi_types[by_spelling[key]], f"{path}.{key}")
    return wrong
