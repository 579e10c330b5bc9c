"""Imports every module of every member with only the dependencies that the member declares.

In the shared environment an undeclared import succeeds; in the member's image it would fail. Each member gets a folder
of links to the packages that uv would install for it, byte code included: an environment of its own would have to be
compiled anew.

    python local/isolate.py UV MEMBER_FOLDER...
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

_AT_ONCE = 2
_SITE = Path(sysconfig.get_paths()["purelib"])
_EXPORT = ("export", "--quiet", "--frozen", "--no-dev", "--all-extras", "--no-hashes", "--no-header", "--no-annotate")
_IMPORT_ALL = """
import importlib, pkgutil, sys
root = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(root.__path__, root.__name__ + ".") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names) + 1)
"""


def _project(folder: str) -> tuple[str, str]:
    """Return the names of a member's distribution and of its module."""
    project = tomllib.loads((Path(folder) / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["name"], project["tool"]["uv"]["build-backend"]["module-name"]


def _link(name: str, packages: Path) -> None:
    """Link what an installed distribution consists of."""
    parts = {Path(file).parts[0] for file in distribution(name).files or ()}
    for part in parts - {"..", "__pycache__"}:
        if (_SITE / part).exists() and not (packages / part).exists():
            (packages / part).symlink_to(_SITE / part)


def _link_dependencies(uv: str, name: str, packages: Path) -> list[str]:
    """Link the locked dependencies of a member; return the folders of the members among them and of itself."""
    command = [uv, *_EXPORT, "--package", name]
    # uv's own words go to the terminal: they say why there is no list.
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    members = [line.removeprefix("-e ") for line in listed if line.startswith("-e ")]
    others = [Requirement(line) for line in listed if not line.startswith("-e ")]
    for member in members:
        _link(_project(member)[0], packages)
    for requirement in others:
        if requirement.marker is None or requirement.marker.evaluate():
            _link(requirement.name, packages)
    return members


def _is_isolated(uv: str, folder: str) -> bool:
    """Check one member; print the result."""
    name, module = _project(folder)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as packages:
        members = _link_dependencies(uv, name, Path(packages))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([packages, *map(os.path.abspath, members)])}
        # -S: the shared environment is not there, nor anything that is installed for every program.
        command = [sys.executable, "-S", "-c", _IMPORT_ALL, module]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        sys.stderr.write(f"{name}: cannot be imported with its own dependencies alone\n{done.stderr}\n")
    else:
        sys.stdout.write(f"{name}: {done.stdout.strip()} modules import, {seconds:.1f} s\n")
    return not done.returncode


def main() -> int:
    """Check each member; report those that fail, with the first failing import."""
    uv, *folders = sys.argv[1:]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return int(not all(list(pool.map(partial(_is_isolated, uv), folders))))


if __name__ == "__main__":
    sys.exit(main())
