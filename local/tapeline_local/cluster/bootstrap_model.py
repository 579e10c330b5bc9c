"""Pushes the bootstrap model of a cluster and records its reference in the ConfigMap that the chart reads.

The trainer may only replace the image of a model, so the Deployment needs one before the first training.
"""

import re
from collections.abc import Mapping

from tapeline_local.cluster.errors import CommandFailed
from tapeline_local.cluster.shell import Shell

CONFIG_MAP = "tapeline-first-model"
NAMESPACE = "tapeline"
_REFERENCE = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


def is_recorded(shell: Shell, context: str) -> bool:
    """Return whether the cluster has a recorded bootstrap model."""
    return shell.capture(*_kubectl(context), "--namespace", NAMESPACE, "get", "configmap", CONFIG_MAP).code == 0


def push(shell: Shell, command: tuple[str, ...], env: Mapping[str, str], context: str) -> None:
    """Push a bootstrap model and record its reference in the cluster.

    Args:
        shell: runs the commands.
        command: pushes the model and prints its reference.
        env: settings of the trainer that `command` needs.
        context: of the kubeconfig; empty: the current one.

    Raises:
        CommandFailed: the push failed, or the ConfigMap could not be written.
    """
    reference = shell.run_and_capture(*command, env=env)
    if not shell.dry_run and not _REFERENCE.fullmatch(reference):
        raise CommandFailed(command, 0, f"output was {reference[:300]!r}, not a reference by digest")
    shell.say(reference)
    config_map = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {CONFIG_MAP}\n  namespace: {NAMESPACE}\n"
        f"data:\n  reference: {reference}\n"
    )
    shell.run(*_kubectl(context), "apply", "--filename", "-", stdin=config_map)


def _kubectl(context: str) -> tuple[str, ...]:
    return ("kubectl", "--context", context) if context else ("kubectl",)
