"""The board's page, built from its sources when they have changed: `python -m tapeline_local.setup.frontend`.

To build it takes seconds, to find that nothing changed takes none. What was built from what stands in .tools/page.json.
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
NOTE: Final = paths.TOOLS / "page.json"
_PACKAGES: Final = ("package.json", "package-lock.json")
_SOURCES: Final = (*_PACKAGES, "tsconfig.json", "vite.config.ts", "index.html", "public", "src")
_VITE: Final = "node_modules/vite/bin/vite.js"
_TSC: Final = "node_modules/typescript/bin/tsc"

Say = Callable[[str], None]


def digest_of(folder: Path, names: tuple[str, ...]) -> str:
    """Return a digest of the names and the content of some files, and of all files in some folders."""
    total = hashlib.sha256()
    for name in names:
        top = folder / name
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _noted() -> dict[str, str]:
    if not NOTE.exists():
        return {}
    noted: dict[str, str] = json.loads(NOTE.read_text(encoding="utf-8"))
    return noted


def _note(**changed: str) -> None:
    NOTE.parent.mkdir(exist_ok=True)
    NOTE.write_text(json.dumps(_noted() | changed, indent=2) + "\n", encoding="utf-8")


def have_packages() -> None:
    """Have the packages that the build needs, as locked.

    Raises:
        SetupError: they cannot be had.
    """
    packages = digest_of(WEB, _PACKAGES)
    if _noted().get("packages") != packages or not (WEB / _VITE).exists():
        node.install(WEB)
        _note(packages=packages)


def is_built() -> bool:
    """Return whether the page stands there as its sources are now."""
    return _noted().get("sources") == digest_of(WEB, _SOURCES) and (STATIC / "index.html").exists()


def build(say: Say) -> None:
    """Have the page built from the sources as they are.

    Raises:
        SetupError: the packages cannot be had, or the build failed.
    """
    if is_built():
        return
    sources = digest_of(WEB, _SOURCES)
    say("page of the board: building")
    have_packages()
    node.run([_VITE, "build"], WEB)
    _note(sources=sources)
    size = sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file())
    say(f"page of the board: built, {size / 1024:.0f} KiB")


def check() -> None:
    """Let TypeScript check the sources.

    Raises:
        SetupError: it found something, or cannot be had.
    """
    have_packages()
    node.run([_TSC, "--noEmit"], WEB)


def main() -> int:
    """Build, or check with `--check`."""
    try:
        if sys.argv[1:] == ["--check"]:
            check()
        else:
            build(lambda line: print(f"  {line}"))  # noqa: T201 - a person runs it
    except SetupError as error:
        sys.stderr.write(f"the board's page: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
