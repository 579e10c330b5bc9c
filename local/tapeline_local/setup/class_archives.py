"""Builds archives of the classes that Kafka and Spark load at their start: a start then takes half of the CPU time.

Java calls this class data sharing. Each program runs once with `-XX:ArchiveClassesAtExit`. Java itself checks that an
archive fits its version and the class path, and goes on without one that does not. Elasticsearch cannot use one,
because it patches a module of Java.
To add a program: a function that runs it once, and a line in `_PROGRAMS`.
"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tapeline_local import poll
from tapeline_local.errors import SetupError
from tapeline_local.setup.jvm import Jvm
from tapeline_local.stack import kafka, ports

_STARTED: Final = "Kafka Server started"
_CLUSTER_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"
_HEAP_MIB: Final = 256
_TIMEOUT_S: Final = 180
_ENDED_BY_SIGTERM: Final = 128 + signal.SIGTERM
Say = Callable[[str], None]


def existing(folder: Path) -> dict[str, Path]:
    """Return the archives of a folder by program."""
    return {name: folder / f"{name}.jsa" for name in _PROGRAMS if (folder / f"{name}.jsa").is_file()}


def write_missing(java: Jvm, jars: Path, folder: Path, say: Say) -> None:
    """Build the archives that are missing or of other inputs.

    A failure is reported and not repeated with the same inputs: everything runs without archives, too.

    Args:
        java: of the archives.
        jars: the fetched jars.
        folder: of the archives.
        say: where progress goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = _stamp(java, jars)
    stale = [name for name in _PROGRAMS if not _is_current(folder, name, stamp)]
    if not stale:
        return
    started = time.monotonic()
    with ThreadPoolExecutor(len(stale)) as pool:
        for name, failure in zip(stale, pool.map(lambda name: _write(name, java, jars, folder), stale), strict=True):
            if failure:
                say(f"class archive of {name}: skipped until {folder} is removed; it starts slower without: {failure}")
            # Also after a failure: a Java that cannot write one would take this time at every setup.
            (folder / f"{name}.stamp").write_text(stamp, encoding="utf-8")
    say(f"class archives: {', '.join(sorted(existing(folder))) or 'none'}, {time.monotonic() - started:.0f} s")


def _is_current(folder: Path, name: str, stamp: str) -> bool:
    saved = folder / f"{name}.stamp"
    return saved.is_file() and saved.read_text(encoding="utf-8") == stamp


def _stamp(java: Jvm, jars: Path) -> str:
    """Return a digest of what an archive depends on: Java, the class paths, and this module."""
    release = Path(java.java_home) / "release"
    inputs = [str(java), release.read_text(encoding="utf-8") if release.is_file() else "", str(jars.resolve())]
    inputs += [f"{jar.name} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in sorted(jars.glob("*/*.jar"))]
    inputs += [sys.prefix, Path(__file__).read_text(encoding="utf-8")]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def _write(name: str, java: Jvm, jars: Path, folder: Path) -> str:
    """Build one archive; return why it failed, or an empty text."""
    target = folder / f"{name}.jsa"
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        draft = Path(work) / "draft.jsa"
        try:
            _PROGRAMS[name](java, jars, draft)
        except (SetupError, OSError, subprocess.TimeoutExpired) as error:
            return str(error)[-1000:]
        if not draft.is_file():
            return f"Java {java.version} wrote none; does it lack its own, lib/server/classes.jsa?"
        draft.replace(target)
    return ""


def _run_kafka(java: Jvm, jars: Path, draft: Path) -> None:
    """Format a folder, start a broker on it, stop it as a stack does."""
    folder = draft.parent
    port = ports.free_port(set())
    properties = folder / "server.properties"
    text = kafka.server_properties(folder / "data", port, ports.free_port({port}), 1)
    properties.write_text(text, encoding="utf-8")
    (folder / "log4j2.properties").write_text(kafka.LOG4J, encoding="utf-8")
    program = Path(java.java_home) / "bin" / "java"

    def command(*arguments: str) -> tuple[str, ...]:
        return kafka.java_command(program, jars / "kafka", folder, _HEAP_MIB, None, *arguments)

    _run(command(*kafka.format_arguments(_CLUSTER_ID, properties)), folder, "the format of Kafka's folder")
    _run_until_started(command(f"-XX:ArchiveClassesAtExit={draft}", *kafka.server_arguments(properties)), folder)


def _run_until_started(command: tuple[str, ...], folder: Path) -> None:
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        has_started = poll.eventually(
            lambda: _STARTED in log.read_text(errors="replace") or process.poll() is not None, _TIMEOUT_S
        )
        process.terminate()
        code = process.wait(_TIMEOUT_S)
        if not has_started or code not in (0, _ENDED_BY_SIGTERM, -signal.SIGTERM):
            raise SetupError(f"the broker ended with exit code {code}: {log.read_text(errors='replace')[-1000:]}")
    finally:
        process.kill()
        process.wait()


def _run_spark(java: Jvm, jars: Path, draft: Path) -> None:
    """Run a few batches of a small stream."""
    env: Mapping[str, str] = {
        **os.environ,
        "JAVA_HOME": java.launch_home,
        "JDK_JAVA_OPTIONS": " ".join((*kafka.FAST_JIT, f"-XX:ArchiveClassesAtExit={draft}")),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(draft.parent),
    }
    command = (sys.executable, "-m", "tapeline_local.setup.small_stream", str(jars / "spark"), str(draft.parent))
    _run(command, draft.parent, "the small stream", env)


def _run(command: tuple[str, ...], folder: Path, what: str, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise SetupError(f"{what} ended with exit code {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")


_PROGRAMS: Final[Mapping[str, Callable[[Jvm, Path, Path], None]]] = {"kafka": _run_kafka, "spark": _run_spark}
