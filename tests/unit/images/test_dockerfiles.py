"""What every image keeps to; read from the Dockerfiles, without Docker."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from tapeline_local import paths
from tapeline_local.cluster.images import IMAGES
from tapeline_local.setup import pins

ROOT = paths.CHECKOUT
PINS = pins.read(ROOT)
EACH = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)


def instructions(folder: str) -> list[tuple[str, str]]:
    """Return (instruction, rest) of a Dockerfile, continued lines joined."""
    text = (ROOT / folder / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def of(folder: str, word: str) -> list[str]:
    return [rest for instruction, rest in instructions(folder) if instruction == word]


def final_stage(folder: str) -> list[tuple[str, str]]:
    all_of_them = instructions(folder)
    last = max(number for number, (word, _) in enumerate(all_of_them) if word == "FROM")
    return all_of_them[last:]


def test_every_dockerfile_of_the_repository_is_built_by_make_images():
    found = {
        str(path.parent.relative_to(ROOT))
        for top in ("services", "spark-apps", "dashboards")
        for path in (ROOT / top).rglob("Dockerfile")
    }
    assert found == {image.folder for image in IMAGES}


@EACH
def test_both_stages_begin_with_the_pinned_base_and_no_name_stands_in_the_file(image):
    assert of(image.folder, "FROM") == ["${BASE_IMAGE} AS build", "${BASE_IMAGE}"]
    assert "BASE_IMAGE" in of(image.folder, "ARG")
    assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", PINS["BASE_IMAGE"])


@EACH
def test_it_runs_as_a_numbered_user_that_is_not_root(image):
    assert of(image.folder, "USER") == ["185:185" if image.name == "spark" else "10001:10001"]


@EACH
def test_signals_reach_the_program_because_no_shell_stands_before_it(image):
    (entry,) = of(image.folder, "ENTRYPOINT")
    words = json.loads(entry)
    module = f"tapeline_{image.name}"
    assert words == (
        ["/usr/bin/tini", "--", "python", "-m", "tapeline_spark.kubernetes.entrypoint"]
        if image.name == "spark"
        else ["python", "-m", module]
    )
    assert of(image.folder, "STOPSIGNAL") == ["SIGTERM"]
    assert not of(image.folder, "CMD")


@EACH
def test_the_final_stage_copies_and_runs_nothing(image):
    assert {word for word, _ in final_stage(image.folder)} <= {
        *("FROM", "ARG", "LABEL", "COPY", "ENV", "WORKDIR", "USER", "STOPSIGNAL", "EXPOSE", "ENTRYPOINT"),
    }
    assert [rest for word, rest in final_stage(image.folder) if word == "COPY"] == [
        "--from=build /rootfs /",
        "--from=build /own /",
    ]


@EACH
def test_what_only_a_build_needs_does_not_reach_the_image(image):
    kept = " ".join(rest for _, rest in final_stage(image.folder))
    assert not [name for name in ("EXTRA_CA", "INDEX_URL", "MAVEN_URL", "NPM_URL", "PROXY") if name in kept]


@EACH
def test_dependencies_come_from_the_lock_with_their_hashes_and_before_our_code(image):
    text = [f"{word} {rest}" for word, rest in instructions(image.folder)]
    dependencies = next(n for n, line in enumerate(text) if "--require-hashes" in line)
    assert (
        f"uv export --quiet --frozen --no-dev --no-emit-workspace --package tapeline-{image.name} "
        in text[dependencies]
    )
    assert text.index("COPY lib/tapeline lib/tapeline") > dependencies
    assert not any("--editable" in line or " -e " in line for line in text)


@EACH
def test_it_builds_with_the_older_builder_too(image):
    text = (ROOT / image.folder / "Dockerfile").read_text()
    assert "syntax=" not in text
    assert "--mount" not in text
    assert "--chmod" not in text
    assert "<<" not in text


@EACH
def test_it_takes_the_pins_that_make_images_gives_and_no_others(image):
    arguments = {rest.partition("=")[0] for rest in of(image.folder, "ARG")}
    own = {"BASE_IMAGE", "INDEX_URL", "EXTRA_CA", "SOURCE_DATE_EPOCH", *image.pins}
    more = {"spark": {"MAVEN_URL"}, "board": {"NPM_URL"}}
    assert arguments == own | more.get(image.name, set())


@EACH
def test_no_secret_and_no_moving_tag(image):
    text = (ROOT / image.folder / "Dockerfile").read_text()
    assert not re.search(r":latest|password|token=|-----BEGIN", text, re.IGNORECASE)


def test_the_services_say_the_same_in_the_same_words():
    def plain(name: str) -> list[str]:
        text = (ROOT / "services" / name / "Dockerfile").read_text().replace(name, "NAME")
        kept = [line for line in text.splitlines() if line and not line.startswith(("#", "EXPOSE"))]
        return [line.rstrip(" \\") for line in kept if "_NUM_THREADS" not in line]

    assert plain("producer") == plain("inference") == plain("trainer") == plain("simulator") == plain("notifier")


def test_the_context_holds_what_the_builds_copy_and_nothing_else():
    """An exception with a wildcard is lost: the client does not descend into a folder for it."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert not [path for path in let_in if "*" in path or not (ROOT / path).exists()]
    copied = {
        source
        for image in IMAGES
        for rest in of(image.folder, "COPY")
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
