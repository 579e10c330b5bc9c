import json

import pytest
from tapeline_local.setup import frontend, node


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A front end of three files, whose build writes one, without a package manager."""
    folder = tmp_path / "web"
    (folder / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "index.html", "src/main.ts"):
        (folder / name).write_text(name)
    (folder / "public").mkdir()
    monkeypatch.setattr(frontend, "WEB", folder)
    monkeypatch.setattr(frontend, "STATIC", tmp_path / "static")
    monkeypatch.setattr(frontend, "BUILD_RECORD", tmp_path / "tools" / "frontend.json")
    return folder


@pytest.fixture
def calls_made(web, monkeypatch, tmp_path):
    """The commands that the build would run."""
    calls = []

    def install(folder):
        calls.append("install")
        (folder / frontend._VITE).parent.mkdir(parents=True, exist_ok=True)
        (folder / frontend._VITE).touch()

    def run(arguments, cwd):
        calls.append(arguments[-1])
        (tmp_path / "static").mkdir(exist_ok=True)
        (tmp_path / "static" / "index.html").write_text("page")
        return ""

    monkeypatch.setattr(node, "install", install)
    monkeypatch.setattr(node, "run", run)
    return calls


def test_the_first_build_installs_and_builds_and_the_second_does_nothing(calls_made):
    frontend.build(lambda _: None)
    frontend.build(lambda _: None)
    assert calls_made == ["install", "build"]


def test_a_changed_source_is_built_without_installing_again(web, calls_made):
    frontend.build(lambda _: None)
    (web / "src" / "main.ts").write_text("changed")
    assert not frontend.is_built()
    frontend.build(lambda _: None)
    assert calls_made == ["install", "build", "build"]


def test_a_changed_lock_installs_again(web, calls_made):
    frontend.build(lambda _: None)
    (web / "package-lock.json").write_text("changed")
    frontend.build(lambda _: None)
    assert calls_made == ["install", "build", "install", "build"]


def test_a_deleted_page_is_built_again(calls_made, tmp_path):
    frontend.build(lambda _: None)
    (tmp_path / "static" / "index.html").unlink()
    frontend.build(lambda _: None)
    assert calls_made == ["install", "build", "build"]


def test_a_file_that_moves_changes_the_digest(web):
    before = frontend.digest_of(web, ("src",))
    (web / "src" / "main.ts").rename(web / "src" / "other.ts")
    assert frontend.digest_of(web, ("src",)) != before


def test_the_lock_names_no_registry_and_holds_a_digest_of_every_package():
    lock = json.loads((frontend.WEB / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages and all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
