"""Builds our images and pushes them to a registry.

To add a plain Python service: a target in services/Dockerfile, and a line in IMAGES.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeline_local.cluster import checks
from tapeline_local.cluster.shell import Shell

REPORT = "build/images.json"
# Passed to a build by name, so that no value appears in a command line or a log.
_PASSED_BY_NAME = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("INDEX_URL", "MAVEN_URL", "NPM_URL"),
)


# The Dockerfile with one target for each service that differs in nothing but its code.
SHARED = "services/Dockerfile"


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: repository, below `tapeline/`.
        member: folder of the workspace member in it.
        dockerfile: path; the shared one has a target with the name of the image.
        pins: of versions.env that are build arguments.
    """

    name: str
    member: str
    dockerfile: str = SHARED
    pins: tuple[str, ...] = ("UV_VERSION", "TAPELINE_VERSION")

    @property
    def target(self) -> str | None:
        """Stage to build; None: the last one."""
        return self.name if self.dockerfile == SHARED else None

    @property
    def arguments(self) -> dict[str, str]:
        """Build arguments that tell images of the shared Dockerfile apart."""
        return {"MEMBER": self.member, "NAME": self.name} if self.dockerfile == SHARED else {}


IMAGES = (
    Image("producer", "services/producer"),
    Image("inference", "services/inference"),
    Image("board", "services/board", "services/board/Dockerfile"),
    Image("notifier", "services/notifier"),
    Image("trainer", "services/trainer"),
    Image("simulator", "services/simulator"),
    Image("dashboards", "dashboards"),
    Image("spark", "spark-apps", "spark-apps/Dockerfile", ("UV_VERSION", "TAPELINE_VERSION", "SETUPTOOLS_VERSION")),
)


@dataclass(frozen=True)
class BuildOptions:
    """Options of builds and pushes.

    Attributes:
        registry: host:port, prefix of the image names.
        base_image: base of every image.
        network: of the build, a Docker network; empty: the default.
        extra_ca: PEM file of a proxy's certificate authority, or None.
        only: names of the images to build; empty: all.
        report: JSON file with the images' digests and sizes.
    """

    registry: str
    base_image: str
    network: str = ""
    extra_ca: Path | None = None
    only: tuple[str, ...] = ()
    report: Path = Path(REPORT)


def reference(image: Image, registry: str, pins: dict[str, str]) -> str:
    """Return the reference that an image is built and pushed under."""
    return f"{registry}/tapeline/{image.name}:{pins['TAPELINE_VERSION']}"


def select(only: tuple[str, ...]) -> tuple[Image, ...]:
    """Return the images of those names; all if there is no name.

    Raises:
        ValueError: a name is unknown.
    """
    unknown = set(only) - {image.name for image in IMAGES}
    if unknown:
        raise ValueError(f"images were {', '.join(sorted(unknown))}; known: {', '.join(i.name for i in IMAGES)}")
    return tuple(image for image in IMAGES if not only or image.name in only)


def build(shell: Shell, pins: dict[str, str], options: BuildOptions) -> None:
    """Build the selected images and write the report.

    Raises:
        ClusterError: Docker does not respond, or a build failed.
        OSError: the file of the certificate authority cannot be read.
    """
    _check(shell, pins)
    env = {} if options.extra_ca is None else {"EXTRA_CA": options.extra_ca.read_text(encoding="ascii")}
    by_name = [name for name in _PASSED_BY_NAME if shell.environment.get(name)] + list(env)
    if (
        not shell.dry_run
        and "DOCKER_BUILDKIT" not in shell.environment
        and shell.capture("docker", "buildx", "version").code
    ):
        # Without buildx the client refuses to build unless DOCKER_BUILDKIT=0.
        shell.say("this Docker client has no buildx: building with the older builder")
        env["DOCKER_BUILDKIT"] = "0"
    images = select(options.only)
    for number, image in enumerate(images, start=1):
        shell.say(f"image {number} of {len(images)}: {image.name}")
        command = _build_command(image, pins, options, by_name)
        shell.run(*command, ".", env=env)
    _write_report(shell, pins, options)


def load(shell: Shell, pins: dict[str, str], options: BuildOptions) -> None:
    """Push the selected images and write the report with their digests.

    Raises:
        ClusterError: the registry does not respond, or a push failed.
    """
    _check(shell, pins)
    if not shell.dry_run:
        checks.require_registry(options.registry)
    images = select(options.only)
    for number, image in enumerate(images, start=1):
        shell.say(f"pushing {number} of {len(images)}: {image.name}")
        shell.run("docker", "push", reference(image, options.registry, pins))
    _write_report(shell, pins, options)


def _build_command(image: Image, pins: dict[str, str], options: BuildOptions, by_name: list[str]) -> list[str]:
    """Return `docker build` of one image, all but the context."""
    command = ["docker", "build", "--file", image.dockerfile]
    command += ["--target", image.target] if image.target else []
    command += ["--tag", reference(image, options.registry, pins)]
    given = {"BASE_IMAGE": options.base_image, **image.arguments, **{pin: pins[pin] for pin in image.pins}}
    for argument in (*(f"{name}={value}" for name, value in given.items()), *by_name):
        command += ["--build-arg", argument]
    return command + (["--network", options.network] if options.network else [])


def _check(shell: Shell, pins: dict[str, str]) -> None:
    if not shell.dry_run:
        checks.require_tools(("docker",), shell.environment.get("PATH", ""), pins)
        checks.inspect_engine(shell)


def _write_report(shell: Shell, pins: dict[str, str], options: BuildOptions) -> None:
    """Write the report: the base image as resolved, and each image's id, size and digests."""
    if shell.dry_run:
        return
    named = {image.name: reference(image, options.registry, pins) for image in IMAGES}
    found = {name: facts for name, given in named.items() if (facts := _inspect(shell, given))}
    for facts in found.values():
        shell.say(f"  {facts['reference']}: {facts['size_bytes'] / 2**20:.0f} MiB")
    base = _inspect(shell, options.base_image) or {"reference": options.base_image, "digests": []}
    options.report.parent.mkdir(exist_ok=True)
    options.report.write_text(json.dumps({"base": base, "images": found}, indent=2) + "\n", encoding="utf-8")
    if "@sha256:" not in options.base_image:
        digests = ", ".join(base["digests"] or ["none, it comes from no registry"])
        shell.say(f"the base image was given without a digest; Docker says: {digests}")


def _inspect(shell: Shell, name: str) -> dict[str, Any] | None:
    form = '{"id":{{json .Id}},"size_bytes":{{json .Size}},"digests":{{json .RepoDigests}}}'
    result = shell.capture("docker", "image", "inspect", "--format", form, name)
    return None if result.code else {"reference": name, **json.loads(result.text)}
