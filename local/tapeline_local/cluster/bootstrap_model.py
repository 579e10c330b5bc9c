"""The first model of a cluster: an image that the trainer can later replace, noted where the chart looks for it.

The trainer may only put another image in the place of one, so there must be one before it.
"""

import re
from collections.abc import Mapping

from tapeline_local.cluster.errors import CommandFailed
from tapeline_local.cluster.shell import Shell

CONFIG_MAP = "tapeline-first-model"
NAMESPACE = "tapeline"
_REFERENCE = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


def is_noted(shell: Shell, context: str) -> bool:
    """Return whether the cluster has a first model noted."""
    return shell.ask(*_kubectl(context), "--namespace", NAMESPACE, "get", "configmap", CONFIG_MAP).code == 0


def push(shell: Shell, command: tuple[str, ...], more: Mapping[str, str], context: str) -> None:
    """Make and push a first model, and note it in the cluster.

    Args:
        shell: runs it.
        command: pushes it and prints its reference.
        more: settings of the trainer that `command` needs.
        context: of the kubeconfig; empty: the current one.

    Raises:
        CommandFailed: the registry did not take it, or the cluster did not take note.
    """
    reference = shell.take(*command, more=more)
    if not shell.dry_run and not _REFERENCE.fullmatch(reference):
        raise CommandFailed(command, 0, f"it said {reference[:300]!r}, which is no image by digest")
    shell.say(reference)
    note = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {CONFIG_MAP}\n  namespace: {NAMESPACE}\n"
        f"data:\n  reference: {reference}\n"
    )
    shell.run(*_kubectl(context), "apply", "--filename", "-", stdin=note)


def _kubectl(context: str) -> tuple[str, ...]:
    return ("kubectl", "--context", context) if context else ("kubectl",)
