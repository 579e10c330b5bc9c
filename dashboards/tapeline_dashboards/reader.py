"""Reads the sources: the dashboards beside this module, and the drawings of Vega."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from tapeline_dashboards.errors import BadSource
from tapeline_dashboards.source import Dashboard

HERE: Final = Path(__file__).resolve().parent
# What a person opens first comes first.
ORDER: Final = ("market", "symbol", "model", "reconciliation")


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadSource(path, str(error)) from error


def dashboard(path: Path) -> Dashboard:
    """Return the dashboard of one file.

    Raises:
        BadSource: it is no YAML, or says something that a dashboard cannot be.
    """
    content = _content(path)
    try:
        return Dashboard.model_validate(content)
    except ValidationError as error:
        raise BadSource(path, str(error)) from error


def dashboards(folder: Path = HERE / "sources") -> tuple[Dashboard, ...]:
    """Return all dashboards of a folder.

    Raises:
        BadSource: see `dashboard`.
    """
    places = {name: number for number, name in enumerate(ORDER)}
    paths = sorted(folder.glob("*.yaml"), key=lambda path: (places.get(path.stem, len(places)), path.stem))
    return tuple(dashboard(path) for path in paths)


@lru_cache
def _drawing(path: Path) -> str:
    return json.dumps(_content(path))


def drawing(name: str) -> dict[str, Any]:
    """Return the Vega specification of a name, with Kibana's own words in its requests.

    Raises:
        BadSource: there is none, or it is no YAML.
    """
    spec: dict[str, Any] = json.loads(_drawing(HERE / "vega" / f"{name}.yaml"))
    return spec
