"""Runs `make images`, `load`, `bootstrap-model`, `kind-up`, `kind-down` and `operators`.

Standard library only, so that any Python 3.11 runs it. `--dry-run` prints every command and runs none.
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
    """Print a line of progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser(pins: dict[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tapeline_local.cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=("images", "load", "bootstrap-model", "kind-up", "kind-down", "operators"))
    parser.add_argument("--dry-run", action="store_true", help="print every command, run none")
    parser.add_argument("--registry", default=kind.ADDRESS, help="host:port, prefix of image names")
    parser.add_argument("--base-image", default=pins["BASE_IMAGE"], help="base of every image")
    parser.add_argument("--network", default="", help="of image builds, such as host")
    parser.add_argument("--extra-ca", default="", help="PEM file of the certificate authority of a proxy to PyPI")
    parser.add_argument("--only", default="", help="comma-separated names of images")
    parser.add_argument("--report", default=images.REPORT, help="JSON file about the images")
    parser.add_argument("--context", default="", help="of the kubeconfig; default: the current one")
    parser.add_argument("--insecure", action="store_true", help="bootstrap-model: plain HTTP")
    parser.add_argument("--keda", action="store_true", help="install KEDA too")
    parser.add_argument("--without-images", action="store_true", help="kind-up: no images")
    parser.add_argument("--force", action="store_true", help="kind-up: even if the machine is too small")
    parser.add_argument("--all", action="store_true", help="kind-down: remove the registry too")
    return parser


def _push_bootstrap_model(shell: Shell, options: argparse.Namespace) -> None:
    env = {"TRAINER_REGISTRY": options.registry, "TRAINER_REGISTRY_INSECURE": str(options.insecure).lower()}
    python = CHECKOUT / ".venv" / "bin" / "python"
    bootstrap_model.push(shell, (str(python), "-m", "tapeline_trainer", "bootstrap-model"), env, options.context)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command from the root of the checkout; return 1 after a refusal, with one message."""
    os.chdir(CHECKOUT)
    pins = pin_file.read(CHECKOUT)
    options = _parser(pins).parse_args(arguments)
    # `make setup` puts helm and kubectl there; those of the PATH take precedence.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(CHECKOUT / ".tools" / "bin")])
    shell = Shell(dict(os.environ) | {"PATH": path}, say, options.dry_run)
    build = images.BuildOptions(
        registry=options.registry,
        base_image=options.base_image,
        network=options.network,
        extra_ca=Path(options.extra_ca) if options.extra_ca else None,
        only=tuple(name for name in options.only.split(",") if name),
        report=Path(options.report),
    )
    try:
        if options.command == "images":
            images.build(shell, pins, build)
        elif options.command == "load":
            images.load(shell, pins, build)
        elif options.command == "bootstrap-model":
            _push_bootstrap_model(shell, options)
        elif options.command == "operators":
            operators.install(shell, pins, options.context, keda=options.keda)
        elif options.command == "kind-up":
            kind.up(shell, pins, kind.UpOptions(None if options.without_images else build, options.keda, options.force))
        else:
            kind.down(shell, pins, with_registry=options.all)
    except (ClusterError, ValueError, OSError) as error:
        sys.stderr.write(f"make {options.command}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"make {options.command}: interrupted; run it again, completed steps are kept\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
