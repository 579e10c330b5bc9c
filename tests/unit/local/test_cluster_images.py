import json
import socket
from pathlib import Path

import pytest
from tapeline_local.cluster import images

from unit.local import fake_tools
from unit.local.fake_tools import Tools


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return fake_tools.fresh(tmp_path / "bin")


def built(tools: Tools) -> list[list[str]]:
    return [command for command, _, _ in tools.entries() if command[:2] == ["docker", "build"]]


def test_every_image_is_built_from_the_root_under_its_name_and_version(tools):
    done = tools.run("images", "--report", str(tools.folder / "r.json"), "--registry", "registry.example:443")
    assert done.returncode == 0, done.stderr
    names = [command[command.index("--tag") + 1] for command in built(tools)]
    assert names == [f"registry.example:443/tapeline/{image.name}:0.1.0" for image in images.IMAGES]
    assert {command[-1] for command in built(tools)} == {"."}


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.name)
def test_a_shared_dockerfile_gets_the_target_and_the_arguments_of_its_image(tools, image):
    done = tools.run("images", "--only", image.name, "--report", str(tools.folder / "r.json"))
    assert done.returncode == 0, done.stderr
    (command,) = built(tools)
    given = [command[number + 1] for number, word in enumerate(command) if word == "--build-arg"]
    arguments = {name: value for name, _, value in (argument.partition("=") for argument in given)}
    file = command[command.index("--file") + 1]
    if image.name in ("board", "spark"):
        assert file == f"{image.member}/Dockerfile"
        assert "--target" not in command
        assert not {"MEMBER", "NAME"} & set(arguments)
    else:
        assert file == "services/Dockerfile"
        assert command[command.index("--target") + 1] == arguments["NAME"] == image.name
        assert arguments["MEMBER"] == image.member


def test_an_authority_travels_by_the_environment_and_stands_in_no_command(tools):
    file = tools.folder / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    report = str(tools.folder / "r.json")
    done = tools.run("images", "--extra-ca", str(file), "--only", "producer", "--report", report)
    assert done.returncode == 0, done.stderr
    (command,) = built(tools)
    assert command[command.index("EXTRA_CA") - 1] == "--build-arg"
    assert "abc" not in " ".join(command) + done.stdout
    (environment,) = [given for called, _, given in tools.entries() if called[:2] == ["docker", "build"]]
    assert "abc" in environment["EXTRA_CA"]


def test_proxies_and_mirrors_of_the_environment_are_passed_by_name(tools):
    report = str(tools.folder / "r.json")
    done = tools.run(
        "images", "--only", "spark", "--report", report, HTTPS_PROXY="http://u:secret@p", MAVEN_URL="http://m"
    )
    (command,) = built(tools)
    given = [command[number + 1] for number, word in enumerate(command) if word == "--build-arg"]
    assert {"HTTPS_PROXY", "MAVEN_URL"} <= set(given)
    assert "secret" not in " ".join(command) + done.stdout


def test_the_older_builder_is_used_where_the_client_has_no_other(tools):
    tools.table["docker buildx"] = (1, "")
    report = str(tools.folder / "r.json")
    tools.run("images", "--only", "producer", "--report", report)
    chosen = [given["DOCKER_BUILDKIT"] for called, _, given in tools.entries() if called[:2] == ["docker", "build"]]
    assert chosen == ["0"]


def test_the_report_says_what_the_base_really_was(tools):
    tools.table = {"docker image inspect --format": fake_tools.image("python@sha256:abc"), **tools.table}
    file = tools.folder / "r.json"
    done = tools.run("images", "--only", "producer", "--report", str(file), "--base-image", "python:3.11-slim")
    assert json.loads(file.read_text())["base"] == {
        "reference": "python:3.11-slim",
        "id": "sha256:0",
        "size_bytes": 2**20,
        "digests": ["python@sha256:abc"],
    }
    assert "given without a digest; Docker says: python@sha256:abc" in done.stdout


def test_an_unknown_image_is_refused_with_the_known_ones(tools):
    done = tools.run("images", "--only", "producr")
    assert done.returncode == 1
    assert "images were producr; known: producer, inference" in done.stderr


def test_nothing_is_pushed_where_no_registry_answers(tools):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = tools.run("load", "--registry", f"localhost:{port}")
    assert done.returncode == 1
    assert f"no registry answers at localhost:{port}" in done.stderr
    assert not [call for call in tools.calls() if call.startswith("docker push")]
