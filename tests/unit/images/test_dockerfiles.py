"""What every image keeps to; read from the Dockerfiles, without Docker."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from tapeline_local import paths
from tapeline_local.cluster.images import IMAGES, SHARED, Image
from tapeline_local.setup import pins

ROOT = paths.CHECKOUT
PINS = pins.read(ROOT)
EACH = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)


def joined(path: str) -> list[tuple[str, str]]:
    """Return (instruction, rest) of a Dockerfile as written, continued lines joined."""
    text = (ROOT / path).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in whole.splitlines() if line.strip())]


def stages(path: str) -> dict[str, list[tuple[str, str]]]:
    """Return the stages of a Dockerfile by name, each with its FROM; one without a name is the last one."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for word, rest in joined(path):
        if word == "FROM":
            current = found.setdefault(rest.partition(" AS ")[2] or "last", [])
        current.append((word, rest))
    return found


def expanded(text: str, image: Image) -> str:
    """Return text with the build arguments that tell images apart put in."""
    for name, value in image.arguments.items():
        text = re.sub(rf"\$\{{{name}(:\?[^}}]*)?\}}", value, text)
    return text


def final_stage(image: Image) -> list[tuple[str, str]]:
    """Return what makes the image itself: its target, behind the stages of the same file that it begins with."""
    all_of_them = stages(image.dockerfile)
    made = all_of_them[image.target or list(all_of_them)[-1]]
    while (base := made[0][1].partition(" AS ")[0]) in all_of_them:
        made = all_of_them[base] + made[1:]
    return [(word, expanded(rest, image)) for word, rest in made]


def instructions(image: Image) -> list[tuple[str, str]]:
    """Return everything that a build of this image runs: global arguments, the build stage, the image."""
    written = joined(image.dockerfile)
    before = written[: next(number for number, (word, _) in enumerate(written) if word == "FROM")]
    build = [(word, expanded(rest, image)) for word, rest in stages(image.dockerfile)["build"]]
    return before + build + final_stage(image)


def arguments_of(image: Image, word: str) -> list[str]:
    return [rest for instruction, rest in instructions(image) if instruction == word]


def test_every_dockerfile_of_the_repository_is_built_by_make_images():
    found = {
        str(path.relative_to(ROOT))
        for top in ("services", "spark-apps", "dashboards")
        for path in (ROOT / top).rglob("Dockerfile")
        if "node_modules" not in path.parts
    }
    assert found == {image.dockerfile for image in IMAGES}


def test_every_target_of_the_shared_dockerfile_is_an_image_and_every_member_is_a_folder_of_its_package():
    shared = [image for image in IMAGES if image.dockerfile == SHARED]
    assert set(stages(SHARED)) == {"build", "runtime", *(image.target for image in shared)}
    assert all(stages(SHARED)[image.name][0] == ("FROM", f"runtime AS {image.name}") for image in shared)
    for image in IMAGES:
        project = tomllib.loads((ROOT / image.member / "pyproject.toml").read_text())["project"]
        assert project["name"] == f"tapeline-{image.name}"
        assert (ROOT / image.member / f"tapeline_{image.name}" / "__main__.py").exists()


def test_the_targets_of_the_shared_dockerfile_differ_only_in_port_threads_and_entry_point():
    for name, stage in stages(SHARED).items():
        if name not in ("build", "runtime"):
            assert [word for word, _ in stage if word not in ("ENV", "EXPOSE")] == ["FROM", "ENTRYPOINT"]
            assert all("_NUM_THREADS=" in part for word, rest in stage if word == "ENV" for part in rest.split())


@EACH
def test_both_stages_begin_with_the_pinned_base_and_no_name_stands_in_the_file(image):
    assert [rest.partition(" AS ")[0] for rest in arguments_of(image, "FROM")] == ["${BASE_IMAGE}"] * 2
    assert {rest.partition(" AS ")[0] for word, rest in joined(image.dockerfile) if word == "FROM"} <= {
        *("${BASE_IMAGE}", "runtime")
    }
    assert "BASE_IMAGE" in arguments_of(image, "ARG")
    assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", PINS["BASE_IMAGE"])


@EACH
def test_no_argument_is_left_that_nothing_gives(image):
    """A misspelt argument expands to nothing, without a word."""
    declared = {rest.partition("=")[0] for rest in arguments_of(image, "ARG")}
    own = {name for rest in arguments_of(image, "ENV") for name in re.findall(r"(\w+)=", rest)}
    lines = [rest for word, rest in instructions(image) if word != "RUN"]
    assert set(re.findall(r"\$\{(\w+)", " ".join(lines))) <= declared | own


@EACH
def test_its_label_is_its_name_and_version(image):
    (label,) = arguments_of(image, "LABEL")
    assert label.split()[:2] == [
        f'org.opencontainers.image.title="tapeline/{image.name}"',
        'org.opencontainers.image.version="${TAPELINE_VERSION}"',
    ]
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in label


@EACH
def test_what_is_equal_has_equal_digests(image):
    """Both layers end with the same fixed time on every file."""
    for layer in ("/rootfs", "/own"):
        touched = f'{layer} -exec touch --no-dereference --date "@${{SOURCE_DATE_EPOCH}}" {{}} +'
        assert any(rest.endswith(touched) for rest in arguments_of(image, "RUN"))
    assert "SOURCE_DATE_EPOCH=315532800" in arguments_of(image, "ARG")


@EACH
def test_only_libraries_that_compute_in_a_service_of_many_calls_are_held_to_one_thread(image):
    """The trainer grows trees on several cores."""
    variables = " ".join(rest for word, rest in final_stage(image) if word == "ENV")
    held = set(re.findall(r"(\w+_NUM_THREADS)=1\b", variables))
    wanted = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"}
    assert held == (wanted if image.name in ("inference", "spark") else set())
    assert (
        "PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp"
        in (variables)
    )


@EACH
def test_it_shows_the_port_that_it_listens_on(image):
    ports = {"inference": ["8000"], "simulator": ["8082"], "board": ["8090"], "trainer": [], "dashboards": []}
    assert arguments_of(image, "EXPOSE") == ports.get(image.name, ["8080"])


@EACH
def test_it_runs_as_a_numbered_user_that_is_not_root(image):
    assert arguments_of(image, "USER") == ["185:185" if image.name == "spark" else "10001:10001"]


@EACH
def test_signals_reach_the_program_because_no_shell_stands_before_it(image):
    (entry,) = arguments_of(image, "ENTRYPOINT")
    words = json.loads(entry)
    module = f"tapeline_{image.name}"
    assert words == (
        ["/usr/bin/tini", "--", "python", "-m", "tapeline_spark.kubernetes.entrypoint"]
        if image.name == "spark"
        else ["python", "-m", module]
    )
    assert arguments_of(image, "STOPSIGNAL") == ["SIGTERM"]
    assert not arguments_of(image, "CMD")


@EACH
def test_the_final_stage_copies_and_runs_nothing(image):
    assert {word for word, _ in final_stage(image)} <= {
        *("FROM", "ARG", "LABEL", "COPY", "ENV", "WORKDIR", "USER", "STOPSIGNAL", "EXPOSE", "ENTRYPOINT"),
    }
    assert [rest for word, rest in final_stage(image) if word == "COPY"] == [
        "--from=build /rootfs /",
        "--from=build /own /",
    ]


@EACH
def test_what_only_a_build_needs_does_not_reach_the_image(image):
    kept = " ".join(rest for _, rest in final_stage(image))
    assert not [name for name in ("EXTRA_CA", "INDEX_URL", "MAVEN_URL", "NPM_URL", "PROXY") if name in kept]


@EACH
def test_dependencies_come_from_the_lock_with_their_hashes_and_before_our_code(image):
    text = [f"{word} {rest}" for word, rest in instructions(image)]
    dependencies = next(n for n, line in enumerate(text) if "--require-hashes" in line)
    assert f"uv export --quiet --frozen --no-dev --no-emit-workspace --package tapeline-{image.name} " in text[
        dependencies
    ].replace('"', "")
    assert f"COPY {image.member}/pyproject.toml {image.member}/" in text[:dependencies]
    assert text.index("COPY lib/tapeline lib/tapeline") > dependencies
    assert any(line.startswith(f"COPY {image.member}") for line in text[dependencies:])
    assert any(f"--out-dir /tmp/wheels {image.member} " in line.replace('"', "") for line in text[dependencies:])
    assert not any("--editable" in line or " -e " in line for line in text)


@EACH
def test_it_builds_with_the_older_builder_too(image):
    text = (ROOT / image.dockerfile).read_text()
    assert "syntax=" not in text
    assert "--mount" not in text
    assert "--chmod" not in text
    assert "<<" not in text


@EACH
def test_it_takes_the_pins_that_make_images_gives_and_no_others(image):
    arguments = {rest.partition("=")[0] for rest in arguments_of(image, "ARG")}
    own = {"BASE_IMAGE", "INDEX_URL", "EXTRA_CA", "SOURCE_DATE_EPOCH", *image.pins, *image.arguments}
    more = {"spark": {"MAVEN_URL"}, "board": {"NPM_URL"}}
    assert arguments == own | more.get(image.name, set())


@EACH
def test_no_secret_and_no_moving_tag(image):
    text = (ROOT / image.dockerfile).read_text()
    assert not re.search(r":latest|password|token=|-----BEGIN", text, re.IGNORECASE)


def test_the_context_holds_what_the_builds_copy_and_nothing_else():
    """An exception with a wildcard is lost: the client does not descend into a folder for it."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert not [path for path in let_in if "*" in path or not (ROOT / path).exists()]
    copied = {
        source
        for image in IMAGES
        for rest in arguments_of(image, "COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    reached = [path for path in let_in if any(source == path or source.startswith(f"{path}/") for source in copied)]
    assert sorted(let_in) == sorted(reached)
    assert all(any(source == path or source.startswith(f"{path}/") for path in let_in) for source in copied)


def test_the_java_of_the_spark_image_drops_only_the_module_it_does_not_have(tmp_path):
    script = (ROOT / "spark-apps" / "java").read_text()
    real = re.search(r"^exec (\S+)", script, re.MULTILINE)
    assert real
    fake = tmp_path / "java"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(script.replace(real[1], str(fake)))
    given = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-Da=b c", "Main"]
    done = subprocess.run(["sh", str(wrapper), *given], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["-Xmx1g", "-Da=b c", "Main"]
    assert Path(ROOT / "spark-apps" / "java").stat().st_mode & 0o111
