"""Imports every module of every member in an environment with only the dependencies that the member declares.

In the shared environment an undeclared import succeeds; in the member's image it would fail.

    python local/isolate.py UV MEMBER_FOLDER...
"""

import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

_AT_ONCE = 2
_IMPORT_ALL = """
import importlib, pkgutil, sys
root = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(root.__path__, root.__name__ + ".") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names) + 1)
"""


def _is_isolated(uv: str, folder: str) -> bool:
    """Check one member; print the result."""
    project = tomllib.loads((Path(folder) / "pyproject.toml").read_text(encoding="utf-8"))
    name, module = project["project"]["name"], project["tool"]["uv"]["build-backend"]["module-name"]
    flags = ("--quiet", "--isolated", "--frozen", "--no-dev", "--no-progress", "--all-extras")
    command = [uv, "run", *flags, "--package", name, "python", "-c", _IMPORT_ALL, module]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
