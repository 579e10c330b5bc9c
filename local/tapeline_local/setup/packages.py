"""Fetches the files of packages.lock, single files out of published packages, and verifies their digests.

Charts and clusters need them, the local stack does not. A file that cannot be fetched is reported and skipped.
To add one: a line in local/packages.lock. To add a client: a function in `_CLIENTS`.
"""

import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import httpx

from tapeline_local import paths
from tapeline_local.errors import PackageUnavailable, SetupError

TAGGED_FILE = "https://raw.githubusercontent.com/{repository}/v{version}/{path}"
_TIMEOUT_S = 300
_MODULE = re.compile(r"github\.com/([^/]+/[^/]+)(/v[0-9]+)?")


@dataclass(frozen=True)
class Packaged:
    """One line of the lock."""

    client: str
    package: str
    version: str
    path: str
    sha256: str
    size_bytes: int
    place: str
    platform: str

    def target(self, tools: Path) -> Path:
        """Return the path of the file below the folder of all tools."""
        return tools / self.place

    def is_for(self, machine: str) -> bool:
        """Return whether the file is for a machine, such as linux-x86_64."""
        return self.platform in ("any", machine)


Fetched = dict[str, bytes]
"""Contents by path inside the package."""
Client = Callable[[list[Packaged], Path], Fetched]


def this_machine() -> str:
    """Return this machine's name in the lock."""
    return f"{platform.system()}-{platform.machine()}".lower()


def parse(text: str) -> list[Packaged]:
    """Read the lines of a lock.

    Raises:
        SetupError: a line is malformed.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            client, package, version, path, sha256, size, place, machine = line.split()
            lines.append(Packaged(client, package, version, path, sha256, int(size), place, machine))
        except ValueError as error:
            shape = "client package version path sha256 bytes place platform"
            raise SetupError(f"line {number} of packages.lock was {line!r}; write {shape}") from error
    return lines


def missing(listed: Iterable[Packaged], tools: Path, machine: str) -> list[Packaged]:
    """Return the files of this machine that are missing or have another size."""
    wanted = [one for one in listed if one.is_for(machine)]
    return [one for one in wanted if not _has_size(one.target(tools), one.size_bytes)]


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def fetch_missing(listed: list[Packaged], tools: Path, say: Callable[[str], None]) -> None:
    """Fetch missing files, one package after the other; report and skip those that cannot be fetched."""
    wanted = missing(listed, tools, this_machine())
    tools.mkdir(parents=True, exist_ok=True)
    for (client, package, version), files in groupby(wanted, lambda one: (one.client, one.package, one.version)):
        try:
            fetch_package(list(files), tools, _CLIENTS[client])
            say(f"{package} {version}: fetched")
        except PackageUnavailable as error:
            say(f"skipped: {error}")


def fetch_package(files: list[Packaged], tools: Path, client: Client) -> None:
    """Fetch files of one package, verify their digests, and move each atomically to its path.

    Raises:
        PackageUnavailable: the package cannot be fetched, or a digest differs from the pinned one.
    """
    name = f"{files[0].package} {files[0].version}"
    with tempfile.TemporaryDirectory(dir=tools, prefix=".fetch-") as folder:
        contents = client(files, Path(folder))
        for one in files:
            actual = hashlib.sha256(contents[one.path]).hexdigest()
            if actual != one.sha256:
                raise PackageUnavailable(name, f"sha256 of {one.path} was {actual}, pinned is {one.sha256}")
            draft = Path(folder) / "draft"
            draft.write_bytes(contents[one.path])
            draft.chmod(0o755 if one.place.startswith("bin/") else 0o644)
            one.target(tools).parent.mkdir(parents=True, exist_ok=True)
            draft.replace(one.target(tools))


def _run(command: list[str], what: str, cwd: Path) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageUnavailable(what, str(error)) from error
    if done.returncode:
        # go writes its error as JSON to standard output.
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise PackageUnavailable(what, words[-1] if words else f"exit code {done.returncode}")
    return done.stdout


def from_pypi(files: list[Packaged], folder: Path) -> Fetched:
    """Return files of a wheel, fetched by the pip next to our uv, which has this machine's index and proxies."""
    what = f"{files[0].package}=={files[0].version}"
    pip = [str(next(paths.TOOLS.glob("uv-*/bin/python"))), "-m", "pip", "download", "--quiet"]
    _run([*pip, "--no-deps", "--only-binary", ":all:", "--dest", str(folder), what], what, folder)
    wheel = next(folder.glob("*.whl"))
    wanted = {one.path for one in files}
    found = {name: content for name, content in _walk(wheel.read_bytes(), "whl", wanted) if name in wanted}
    if absent := wanted - set(found):
        raise PackageUnavailable(what, f"it does not hold {sorted(absent)}")
    return found


def _walk(archive: bytes, kind: str, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted members of an archive and of the archives in it."""
    for name, read in _members(archive, kind):
        inner = name.rpartition(".")[2]
        if name in wanted:
            yield name, read()
        elif inner in ("tgz", "zip"):
            yield from _walk(read(), inner, wanted)


def _members(archive: bytes, kind: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if kind == "tgz":
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            for entry in packed:
                if (file := packed.extractfile(entry)) is not None:
                    yield entry.name, file.read
        return
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        for name in zipped.namelist():
            yield name, lambda name=name: zipped.read(name)  # type: ignore[misc]


def from_go(files: list[Packaged], folder: Path) -> Fetched:
    """Return files of a Go module, by go if installed, else from the tag of its repository."""
    package, version = files[0].package, files[0].version
    if shutil.which("go") is None:
        return from_tag(files, TAGGED_FILE)
    command = ["go", "mod", "download", "-json", f"{package}@v{version}"]
    try:
        source = Path(json.loads(_run(command, f"{package} {version}", folder))["Dir"])
        return {one.path: (source / one.path).read_bytes() for one in files}
    except (PackageUnavailable, OSError) as by_go:
        try:
            return from_tag(files, TAGGED_FILE)
        except PackageUnavailable as by_tag:
            raise PackageUnavailable(f"{package} {version}", f"go: {by_go}; GitHub: {by_tag}") from by_tag


def from_tag(files: list[Packaged], address: str) -> Fetched:
    """Return files at the tag of a GitHub repository.

    Args:
        files: of one Go module.
        address: with the fields repository, version and path.
    """
    found = {}
    for one in files:
        match = _MODULE.fullmatch(one.package)
        if match is None:
            raise PackageUnavailable(one.package, "not a module of GitHub")
        url = address.format(repository=match[1], version=one.version, path=one.path)
        try:
            found[one.path] = httpx.get(url, timeout=_TIMEOUT_S, follow_redirects=True).raise_for_status().content
        except httpx.HTTPError as error:
            raise PackageUnavailable(url, f"{type(error).__name__}: {error}") from error
    return found


_CLIENTS: dict[str, Client] = {"pypi": from_pypi, "go": from_go}
