"""Builds and writes build/demo-report.json."""

import json
from pathlib import Path
from typing import Any

from tapeline.enums import PredictionState
from tapeline.service.files import write_atomically

from tapeline_local.demo.reconcile import ReconciliationReport
from tapeline_local.demo.stats import StatsSnapshot


def build(
    reconciliation: ReconciliationReport,
    stats: StatsSnapshot,
    delay_ms: dict[str, int | None],
    rss_mib: dict[str, int],
    times: dict[str, float],
) -> dict[str, Any]:
    """Return the report.

    Args:
        reconciliation: of the ledger with the documents.
        stats: the last snapshot.
        delay_ms: percentiles of the delay from trade to searchable, by name.
        rss_mib: resident memory, by part and as `total`.
        times: `setup_s`, `ready_s` and `shown_s`.
    """
    return {
        "sent": reconciliation.sent if stats.exchange is not None else None,
        "received": stats.received,
        "produced": stats.produced,
        "indexed": reconciliation.indexed,
        "lost": reconciliation.lost,
        "doubled": reconciliation.doubled,
        "rejected": stats.rejected,
        "gaps": stats.gaps,
        "missing_inside_gaps": reconciliation.covered,
        "predicted": reconciliation.by_state.get(PredictionState.OK, 0),
        "by_state": dict(reconciliation.by_state),
        "by_model": dict(reconciliation.by_model),
        "unfounded": reconciliation.unfounded,
        "reconciled": reconciliation.is_reconciled(),
        "delay_ms": delay_ms,
        "rss_mib": rss_mib,
        **times,
        "reconciliation": reconciliation.as_dict(),
    }


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the report atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(report, indent=2).encode())
