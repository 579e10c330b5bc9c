"""Builds the board's front end if its sources changed: `python -m tapeline_local.setup.frontend`.

A build takes seconds, the check for changes milliseconds. .tools/frontend.json holds the digests of the last build.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tapeline_local import paths
from tapeline_local.errors import SetupError
from tapeline_local.setup import node

WEB: Final = paths.CHECKOUT / "services" / "board" / "web"
STATIC: Final = WEB.parent / "tapeline_board" / "static"
BUILD_RECORD: Final = paths.TOOLS / "frontend.json"
_PACKAGES: Final = ("package.json", "package-lock.json")
_SOURCES: Final = (*_PACKAGES, "tsconfig.json", "vite.config.ts", "index.html", "public", "src")
_VITE: Final = "node_modules/vite/bin/vite.js"
_TSC: Final = "node_modules/typescript/bin/tsc"

Say = Callable[[str], None]


def digest_of(folder: Path, names: tuple[str, ...]) -> str:
    """Return a digest of the paths and contents of files and folders."""
    total = hashlib.sha256()
    for name in names:
        top = folder / name
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _read_record() -> dict[str, str]:
    if not BUILD_RECORD.exists():
        return {}
    record: dict[str, str] = json.loads(BUILD_RECORD.read_text(encoding="utf-8"))
    return record


def _update_record(**changed: str) -> None:
    BUILD_RECORD.parent.mkdir(exist_ok=True)
    BUILD_RECORD.write_text(json.dumps(_read_record() | changed, indent=2) + "\n", encoding="utf-8")


def ensure_packages() -> None:
    """Install the locked packages of the build, if they changed.

    Raises:
        SetupError: the packages cannot be installed.
    """
    packages = digest_of(WEB, _PACKAGES)
    if _read_record().get("packages") != packages or not (WEB / _VITE).exists():
        node.install(WEB)
        _update_record(packages=packages)


def is_built() -> bool:
    """Return whether the built page matches the current sources."""
    return _read_record().get("sources") == digest_of(WEB, _SOURCES) and (STATIC / "index.html").exists()


def build(say: Say) -> None:
    """Build the page, if the sources changed.

    Raises:
        SetupError: the packages cannot be installed, or the build failed.
    """
    if is_built():
        return
    sources = digest_of(WEB, _SOURCES)
    say("board front end: building")
    ensure_packages()
    node.run([_VITE, "build"], WEB)
    _update_record(sources=sources)
    size = sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file())
    say(f"board front end: built, {size / 1024:.0f} KiB")


def check() -> None:
    """Type-check the sources with TypeScript.

    Raises:
        SetupError: TypeScript found errors, or cannot be installed.
    """
    ensure_packages()
    node.run([_TSC, "--noEmit"], WEB)


def main() -> int:
    """Build, or check with `--check`."""
    try:
        if sys.argv[1:] == ["--check"]:
            check()
        else:
            build(lambda line: print(f"  {line}"))  # noqa: T201 - command-line output
    except SetupError as error:
        sys.stderr.write(f"board front end: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
