import hashlib
import http.server
import io
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tapeline_local import paths
from tapeline_local.errors import PackageUnavailable, SetupError
from tapeline_local.setup import packages, pins

BODY = b"the right bytes"
LISTED = packages.parse((paths.CHECKOUT / "local" / "packages.lock").read_text())


def packaged(path: str = "deep/tool", body: bytes = BODY, **changed: str) -> packages.Packaged:
    given = {
        "client": "go",
        "package": "github.com/owner/name/v3",
        "version": "1.2.3",
        "place": "bin/tool",
        "platform": "any",
    }
    return packages.Packaged(
        path=path, sha256=hashlib.sha256(body).hexdigest(), size_bytes=len(body), **{**given, **changed}
    )


def holds(**contents: bytes) -> packages.Client:
    return lambda files, folder: {one.path: contents["body"] for one in files}


def test_a_file_is_put_in_its_place_and_programs_can_be_run(tmp_path):
    packages.fetch_package([packaged()], tmp_path, holds(body=BODY))
    found = tmp_path / "bin" / "tool"
    assert found.read_bytes() == BODY
    assert found.stat().st_mode & 0o111
    assert not packages.missing([packaged()], tmp_path, "any-machine")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_other_bytes_than_pinned_never_reach_their_place(tmp_path):
    with pytest.raises(PackageUnavailable, match=r"sha256 of deep/tool was .*, pinned is"):
        packages.fetch_package([packaged()], tmp_path, holds(body=b"others"))
    assert packages.missing([packaged()], tmp_path, "any-machine")


def test_a_package_that_cannot_be_fetched_is_reported_and_the_rest_is_fetched(tmp_path, monkeypatch):
    """The local stack needs none of these files: its setup must not fail because one is missing."""

    def client(files: list[packages.Packaged], folder: Path) -> packages.Fetched:
        if files[0].package == "broken":
            raise PackageUnavailable("broken 1.2.3", "unreachable")
        return {one.path: BODY for one in files}

    monkeypatch.setitem(packages._CLIENTS, "go", client)
    lines: list[str] = []
    packages.fetch_missing(
        [packaged(package="broken", place="crds/a"), packaged(place="crds/b")], tmp_path, lines.append
    )
    assert (tmp_path / "crds" / "b").exists()
    assert any("broken 1.2.3 could not be fetched: unreachable" in line for line in lines)


def test_a_file_for_another_machine_is_not_missed(tmp_path):
    assert not packages.missing([packaged(platform="plan9-vax")], tmp_path, "linux-x86_64")


def test_a_line_of_another_shape_is_refused_with_its_number():
    with pytest.raises(SetupError, match=r"line 2 of packages.lock was 'pypi x'"):
        packages.parse("# comment\npypi x\n")


def test_a_file_is_found_in_an_archive_in_an_archive_in_a_wheel():
    layer, tgz, wheel = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("deep/tool", BODY)
    with tarfile.open(fileobj=tgz, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/layer.zip")
        entry.size = len(layer.getvalue())
        archive.addfile(entry, io.BytesIO(layer.getvalue()))
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("inside/package.tgz", tgz.getvalue())
    assert dict(packages._walk(wheel.getvalue(), "whl", {"deep/tool"})) == {"deep/tool": BODY}


@pytest.fixture
def tagged() -> Iterator[str]:
    """A fake of GitHub's raw files; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/owner/name/v1.2.3/deep/tool"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(BODY if found else b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{{repository}}/v{{version}}/{{path}}"
    server.shutdown()
    server.server_close()


def test_a_machine_without_go_takes_the_file_from_the_modules_tag(tagged, monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "TAGGED_FILE", tagged)
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    assert packages.from_go([packaged()], tmp_path) == {"deep/tool": BODY}
    with pytest.raises(PackageUnavailable, match="404"):
        packages.from_go([packaged(path="absent")], tmp_path)


def test_a_go_that_fails_is_not_the_end(tagged, monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "TAGGED_FILE", tagged)
    monkeypatch.setattr(packages.shutil, "which", lambda name: "/usr/bin/go")
    failed = subprocess.CompletedProcess([], 1, "", "no such module")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: failed)
    assert packages.from_go([packaged()], tmp_path) == {"deep/tool": BODY}


def test_helm_and_kubectl_are_locked_for_the_machine_that_ci_has():
    assert {one.place for one in LISTED if one.platform == "linux-x86_64"} == {"bin/helm", "bin/kubectl"}


def test_operators_are_locked_in_the_versions_that_are_installed():
    pinned = pins.read(paths.CHECKOUT)
    versions = {one.place: one.version for one in LISTED}
    assert versions["crds/eck.yaml"] == pinned["ECK_VERSION"]
    assert versions["crds/keda.yaml"] == pinned["KEDA_VERSION"]
    assert versions["crds/spark-operator.yaml"] == pinned["SPARK_OPERATOR_VERSION"]
