"""The demo's last word: build/demo-report.json and what it means for the exit code. Pure but for the file."""

import json
from pathlib import Path
from typing import Any

from tapeline_local.demo.reconcile import Books
from tapeline_local.demo.stats import Figures


def document(
    books: Books, figures: Figures, delay_ms: dict[str, int | None], rss_mib: dict[str, int], times: dict[str, float]
) -> dict[str, Any]:
    """Return the report.

    Args:
        books: the reconciliation.
        figures: the last look.
        delay_ms: percentiles of trade to searchable, by name.
        rss_mib: resident memory, by part and as `total`.
        times: `setup_s`, `ready_s` and how long the demo ran.
    """
    return {
        "sent": books.sent if figures.exchange is not None else None,
        "received": figures.received,
        "produced": figures.produced,
        "indexed": books.indexed,
        "lost": books.lost,
        "doubled": books.doubled,
        "rejected": figures.rejected,
        "gaps": figures.gaps,
        "missing_inside_gaps": books.covered,
        "predicted": books.by_state.get("ok", 0),
        "by_state": dict(books.by_state),
        "by_model": dict(books.by_model),
        "unfounded": books.unfounded,
        "balanced": books.balanced(),
        "delay_ms": delay_ms,
        "rss_mib": rss_mib,
        **times,
        "books": books.as_dict(),
    }


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the report whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2), encoding="utf-8")
    temporary.replace(path)
