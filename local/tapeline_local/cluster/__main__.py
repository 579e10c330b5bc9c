"""`make images`, `load`, `bootstrap-model`, `kind-up`, `kind-down`, `operators`, with refusals as one clear message.

Standard library only, so that any Python 3.11 runs it; `--dry-run` prints every command and runs none.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tapeline_local.cluster import bootstrap_model, images, kind, operators
from tapeline_local.cluster.errors import ClusterError
from tapeline_local.cluster.shell import Shell
from tapeline_local.setup import pins as pin_file

CHECKOUT = Path(__file__).resolve().parents[3]


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser(pins: dict[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tapeline_local.cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("images", "load", "bootstrap-model", "kind-up", "kind-down", "operators"))
    parser.add_argument("--dry-run", action="store_true", help="print every command, run none")
    parser.add_argument("--registry", default=kind.ADDRESS, help="host:port that image names begin with")
    parser.add_argument("--base-image", default=pins["BASE_IMAGE"], help="what images begin with")
    parser.add_argument("--network", default="", help="of image builds, such as host")
    parser.add_argument("--extra-ca", default="", help="PEM file of the authority of a proxy on the way to PyPI")
    parser.add_argument("--only", default="", help="comma-separated names of images")
    parser.add_argument("--report", default=images.REPORT, help="JSON file about the images")
    parser.add_argument("--context", default="", help="of the kubeconfig; default: the current one")
    parser.add_argument("--insecure", action="store_true", help="bootstrap-model: plain HTTP")
    parser.add_argument("--keda", action="store_true", help="install KEDA too")
    parser.add_argument("--without-images", action="store_true", help="kind-up: no images")
    parser.add_argument("--force", action="store_true", help="kind-up: although the machine looks too small")
    parser.add_argument("--all", action="store_true", help="kind-down: the registry too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked, from the top of the checkout; 1 with one message where that cannot be."""
    os.chdir(CHECKOUT)
    pins = pin_file.read(CHECKOUT)
    given = _parser(pins).parse_args(arguments)
    # Where `make setup` puts helm and kubectl; a person's own are taken first.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(CHECKOUT / ".tools" / "bin")])
    shell = Shell(dict(os.environ) | {"PATH": path}, say, given.dry_run)
    build = images.BuildOptions(
        registry=given.registry,
        base_image=given.base_image,
        network=given.network,
        extra_ca=Path(given.extra_ca) if given.extra_ca else None,
        only=tuple(name for name in given.only.split(",") if name),
        report=Path(given.report),
    )
    try:
        if given.what == "images":
            images.build(shell, pins, build)
        elif given.what == "load":
            images.load(shell, pins, build)
        elif given.what == "bootstrap-model":
            environment = {"TRAINER_REGISTRY": given.registry, "TRAINER_REGISTRY_INSECURE": str(given.insecure).lower()}
            python = CHECKOUT / ".venv" / "bin" / "python"
            command = (str(python), "-m", "tapeline_trainer", "bootstrap-model")
            bootstrap_model.push(shell, command, environment, given.context)
        elif given.what == "operators":
            operators.install(shell, pins, given.context, keda=given.keda)
        elif given.what == "kind-up":
            kind.up(shell, pins, kind.UpOptions(None if given.without_images else build, given.keda, given.force))
        else:
            kind.down(shell, pins, registry_too=given.all)
    except (ClusterError, ValueError, OSError) as error:
        sys.stderr.write(f"make {given.what}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"make {given.what}: interrupted; run it again, what is done stays done\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
