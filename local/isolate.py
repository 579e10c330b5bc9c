"""Imports every module of every member in an environment with only the dependencies that the member declares.

In the shared environment an undeclared import succeeds; in the member's image it would fail.

    python local/isolate.py UV MEMBER_FOLDER...
"""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

_IMPORT_ALL = """
import importlib, pkgutil, sys
root = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(root.__path__, root.__name__ + ".") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names) + 1)
"""


def main() -> int:
    """Check each member; report those that fail, with the first failing import."""
    uv, *folders = sys.argv[1:]
    failed = False
    for folder in folders:
        project = tomllib.loads((Path(folder) / "pyproject.toml").read_text(encoding="utf-8"))
        name, module = project["project"]["name"], project["tool"]["uv"]["build-backend"]["module-name"]
        flags = ("--quiet", "--isolated", "--frozen", "--no-dev", "--no-progress", "--all-extras")
        command = [uv, "run", *flags, "--package", name]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "python", "-c", _IMPORT_ALL, module], capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
        if done.returncode:
            failed = True
            sys.stderr.write(f"{name}: cannot be imported with its own dependencies alone\n{done.stderr}\n")
        else:
            sys.stdout.write(f"{name}: {done.stdout.strip()} modules import, {seconds:.1f} s\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
