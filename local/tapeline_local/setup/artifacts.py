"""The files of artifacts.lock: read the list, fetch what is missing, check every byte.

jgo only downloads here; it resolves nothing, the lock already says everything.
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
_WORTH_A_LINE_BYTES = 5 * 2**20


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
        """Return where the file lies below the folder of all jars."""
        return jars / self.folder / f"{self.name}-{self.version}.{self.kind}"


def parse(text: str) -> list[Artifact]:
    """Read the lines of a lock.

    Raises:
        SetupError: a line has another shape.
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
    """Return those whose file is absent or has another size; bytes are checked when a file arrives."""
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
    """Fetch one artifact below an empty `cache` folder with jgo; return where it put it."""
    from jgo.maven import MavenContext  # imports slowly; a set-up that finds everything does not need it

    context = MavenContext(repo_cache=cache, timeout=_TIMEOUT_S)
    component = context.project(artifact.group, artifact.name).at_version(artifact.version)
    return Path(component.artifact("", artifact.kind).resolve())


def _place_once(artifact: Artifact, jars: Path, download: Download) -> None:
    # A cache of its own for every try: jgo takes a half-written file in its cache for a whole one.
    with tempfile.TemporaryDirectory(dir=jars, prefix=_DRAFT) as cache:
        fetched = download(artifact, Path(cache))
        was = sha256_of(fetched)
        if was != artifact.sha256:
            raise ArtifactDamaged(artifact.coordinates, was, artifact.sha256)
        fetched.chmod(0o644)
        fetched.replace(artifact.path(jars))


def place(artifact: Artifact, jars: Path, download: Download = download) -> None:
    """Fetch one artifact, check it, and move it to its place in one step.

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
        retrying(_place_once, artifact, jars, download)
    except (OSError, RuntimeError) as error:
        target = artifact.path(jars)
        raise ArtifactUnavailable(artifact.coordinates, target, TRIES, str(error)) from error


def fetch(artifacts: list[Artifact], jars: Path, say: Callable[[str], None]) -> None:
    """Fetch what is missing, several at a time, and say how it goes.

    Raises:
        SetupError: at least one file could not be had; the others are kept, so a second run goes on from there.
    """
    wanted = missing(artifacts, jars)
    if not wanted:
        return
    jars.mkdir(parents=True, exist_ok=True)
    for leftover in jars.glob(f"{_DRAFT}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    total, done = sum(artifact.size_bytes for artifact in wanted), 0
    failures: list[BaseException] = []
    say(f"fetching {len(wanted)} files, {total / 2**20:.0f} MiB")
    # Large ones first: the last to finish is then a small one.
    wanted.sort(key=lambda artifact: -artifact.size_bytes)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool:
        running = {pool.submit(place, artifact, jars): artifact for artifact in wanted}
        for count, future in enumerate(as_completed(running), start=1):
            artifact = running[future]
            failure = future.exception()
            if failure is not None:
                failures.append(failure)
                continue
            done += artifact.size_bytes
            if count == len(wanted) or count % 10 == 0 or artifact.size_bytes > _WORTH_A_LINE_BYTES:
                share = f"{done / 2**20:.0f} of {total / 2**20:.0f} MiB"
                say(f"{count} of {len(wanted)} files, {share} ({artifact.name} {artifact.version})")
    if failures:
        raise SetupError("\n".join(str(failure) for failure in failures)) from failures[0]
