"""Reads the sources: dashboards and Vega specs, both YAML."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from tapeline_dashboards.errors import BadSource
from tapeline_dashboards.source import Dashboard

PACKAGE_FOLDER: Final = Path(__file__).resolve().parent
# In order of use.
ORDER: Final = ("market", "symbol", "model", "reconciliation")


def _load_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadSource(path, str(error)) from error


def read_dashboard(path: Path) -> Dashboard:
    """Read one dashboard.

    Raises:
        BadSource: the file is no YAML, or no valid dashboard.
    """
    content = _load_yaml(path)
    try:
        return Dashboard.model_validate(content)
    except ValidationError as error:
        raise BadSource(path, str(error)) from error


def read_dashboards(folder: Path = PACKAGE_FOLDER / "sources") -> tuple[Dashboard, ...]:
    """Read all dashboards of a folder.

    Raises:
        BadSource: see `read_dashboard`.
    """
    positions = {name: number for number, name in enumerate(ORDER)}
    paths = sorted(folder.glob("*.yaml"), key=lambda path: (positions.get(path.stem, len(positions)), path.stem))
    return tuple(read_dashboard(path) for path in paths)


@lru_cache
def _spec_json(path: Path) -> str:
    return json.dumps(_load_yaml(path))


def vega_spec(name: str) -> dict[str, Any]:
    """Return a Vega spec, with Kibana's placeholders in its requests.

    Raises:
        BadSource: the file does not exist, or is no YAML.
    """
    spec: dict[str, Any] = json.loads(_spec_json(PACKAGE_FOLDER / "vega" / f"{name}.yaml"))
    return spec
