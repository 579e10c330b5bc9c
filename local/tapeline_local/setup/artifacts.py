"""Reads artifacts.lock, fetches missing files, verifies their digests.

jgo only downloads; the lock is already resolved.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import tenacity

from tapeline_local.errors import ArtifactDamaged, ArtifactUnavailable, SetupError

THREADS = 8
TRIES = 3
_TIMEOUT_S = 120
_PAUSE_S = 1.0
_DRAFT = ".fetch-"
_LARGE_FILE_BYTES = 5 * 2**20


@dataclass(frozen=True)
class Artifact:
    """One line of the lock."""

    group: str
    name: str
    version: str
    kind: str
    sha256: str
    size_bytes: int
    folder: str

    @property
    def coordinates(self) -> str:
        """Return group:artifact:version:type."""
        return f"{self.group}:{self.name}:{self.version}:{self.kind}"

    def path(self, jars: Path) -> Path:
        """Return the path of the file below the folder of all jars."""
        return jars / self.folder / f"{self.name}-{self.version}.{self.kind}"


def parse(text: str) -> list[Artifact]:
    """Read the lines of a lock.

    Raises:
        SetupError: a line is malformed.
    """
    artifacts = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            coordinates, sha256, size, folder = line.split()
            group, name, version, kind = coordinates.split(":")
            artifacts.append(Artifact(group, name, version, kind, sha256, int(size), folder))
        except ValueError as error:
            raise SetupError(
                f"line {number} of artifacts.lock was {line!r}; write group:artifact:version:type sha256 bytes folder"
            ) from error
    return artifacts


def missing(artifacts: Iterable[Artifact], jars: Path) -> list[Artifact]:
    """Return the artifacts whose file is missing or has another size; digests are verified at download."""
    return [
        artifact
        for artifact in artifacts
        if not artifact.path(jars).is_file() or artifact.path(jars).stat().st_size != artifact.size_bytes
    ]


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Download = Callable[[Artifact, Path], Path]


def download(artifact: Artifact, cache: Path) -> Path:
    """Fetch one artifact with jgo into an empty `cache` folder; return its path."""
    from jgo.maven import MavenContext  # imports slowly; a setup that fetches nothing does not need it

    context = MavenContext(repo_cache=cache, timeout=_TIMEOUT_S)
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    return Path(component.artifact("", artifact.kind).resolve())


def _fetch_once(artifact: Artifact, jars: Path, download: Download) -> None:
    # An empty cache for every attempt: jgo accepts a partial file in its cache.
    with tempfile.TemporaryDirectory(dir=jars, prefix=_DRAFT) as cache:
        fetched = download(artifact, Path(cache))
        actual = sha256_of(fetched)
        if actual != artifact.sha256:
            raise ArtifactDamaged(artifact.coordinates, actual, artifact.sha256)
        fetched.chmod(0o644)
        fetched.replace(artifact.path(jars))


def fetch_one(artifact: Artifact, jars: Path, download: Download = download) -> None:
    """Fetch one artifact, verify its digest, and move it atomically to its path.

    Raises:
        ArtifactUnavailable: `TRIES` downloads failed.
        ArtifactDamaged: the last download had another digest.
    """
    artifact.path(jars).parent.mkdir(parents=True, exist_ok=True)
    # The errors of requests are OSErrors; jgo raises RuntimeError when no repository has the file.
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(TRIES),
        wait=tenacity.wait_exponential(multiplier=_PAUSE_S),
        retry=tenacity.retry_if_exception_type((OSError, RuntimeError, ArtifactDamaged)),
        reraise=True,
    )
    try:
        retrying(_fetch_once, artifact, jars, download)
    except (OSError, RuntimeError) as error:
        target = artifact.path(jars)
        raise ArtifactUnavailable(artifact.coordinates, target, TRIES, str(error)) from error


def fetch_missing(artifacts: list[Artifact], jars: Path, say: Callable[[str], None]) -> None:
    """Fetch missing artifacts in parallel and report progress.

    Raises:
        SetupError: at least one file could not be fetched; fetched files are kept, so a second run continues.
    """
    to_fetch = missing(artifacts, jars)
    if not to_fetch:
        return
    jars.mkdir(parents=True, exist_ok=True)
    for leftover in jars.glob(f"{_DRAFT}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    total, done = sum(artifact.size_bytes for artifact in to_fetch), 0
    failures: list[BaseException] = []
    say(f"fetching {len(to_fetch)} files, {total / 2**20:.0f} MiB")
    # Large files first: the last to finish is then small.
    to_fetch.sort(key=lambda artifact: -artifact.size_bytes)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool:
        running = {pool.submit(fetch_one, artifact, jars): artifact for artifact in to_fetch}
        for count, future in enumerate(as_completed(running), start=1):
            artifact = running[future]
            failure = future.exception()
            if failure is not None:
                failures.append(failure)
                continue
            done += artifact.size_bytes
            if count == len(to_fetch) or count % 10 == 0 or artifact.size_bytes > _LARGE_FILE_BYTES:
                progress = f"{done / 2**20:.0f} of {total / 2**20:.0f} MiB"
                say(f"{count} of {len(to_fetch)} files, {progress} ({artifact.name} {artifact.version})")
    if failures:
        raise SetupError("\n".join(str(failure) for failure in failures)) from failures[0]
