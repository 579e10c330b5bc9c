"""Puts the jars of one folder of artifacts.lock into an image, each checked by its sha256.

    python fetch_jars.py LOCK FOLDER TARGET [REPOSITORY]

For the build of the image, with nothing installed yet: standard library only. `make setup` has its own way
(local/tapeline_local/setup/artifacts.py), which goes on where it stopped; a build begins anew or takes its cache.
"""

import hashlib
import sys
import urllib.error
import urllib.request
from pathlib import Path

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
_TIMEOUT_S = 120


def wanted(lock: str, folder: str, repository: str) -> dict[str, str]:
    """Return the sha256 of every file of a folder, by its address."""
    found = {}
    for line in lock.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        coordinates, sha256, _, into = line.split()
        group, name, version, kind = coordinates.split(":")
        if into == folder:
            path = f"{group.replace('.', '/')}/{name}/{version}/{name}-{version}.{kind}"
            found[f"{repository.rstrip('/')}/{path}"] = sha256
    return found


def main() -> int:
    """Fetch; 1 with the address where one cannot be had or is another file than the pinned one."""
    lock, folder, target, *rest = sys.argv[1:]
    files = wanted(Path(lock).read_text(encoding="utf-8"), folder, rest[0] if rest else MAVEN_CENTRAL)
    if not files:
        sys.stderr.write(f"{lock} has no file for the folder {folder!r}\n")
        return 1
    Path(target).mkdir(parents=True, exist_ok=True)
    for address, sha256 in files.items():
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
                content = answer.read()
        except (urllib.error.URLError, TimeoutError) as error:
            sys.stderr.write(f"{address} could not be fetched: {error}\n")
            return 1
        was = hashlib.sha256(content).hexdigest()
        if was != sha256:
            sys.stderr.write(f"sha256 of {address} was {was}, pinned is {sha256}\n")
            return 1
        (Path(target) / address.rpartition("/")[2]).write_bytes(content)
        sys.stdout.write(f"{address}: {len(content)} bytes, as pinned\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
