"""The stack that benchmarks measure: no exchange, no producer; synthetic load goes directly into Kafka."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from tapeline import names
from tapeline.model import bundle, features, labels
from tapeline.service import clock
from tapeline_local import paths
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack
from tapeline_trainer.model.bundle import forest_from_sklearn

TREES, DEPTH, ROWS = 100, 10, 40_000


def realistic_forest() -> bundle.Forest:
    """Return a forest of 100 trees, depth 10, fitted on synthetic features with some signal."""
    random = np.random.default_rng(11)
    x = random.normal(size=(ROWS, len(features.FEATURE_NAMES))).astype(np.float32)
    y = (x[:, 0] + 0.5 * x[:, 4] * x[:, 6] + random.normal(scale=2.0, size=ROWS) > 0).astype(int)
    model = RandomForestClassifier(TREES, max_depth=DEPTH, n_jobs=-1, random_state=0).fit(x, y)
    return forest_from_sklearn(model)


def promote(models: Path, forest: bundle.Forest) -> None:
    """Write and promote a forest."""
    now_ms = clock.now_ms()
    draft = bundle.Draft(
        kind="forest",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 86_400_000,
        label_version=labels.VERSION,
        training_from_ms=now_ms - 1,
        training_to_ms=now_ms,
        training_rows=ROWS,
        data_digest="0" * 64,
        metrics={},
        threshold=0.5,
        libraries={},
        parent_digest=None,
    )
    rows = np.zeros((8, len(features.FEATURE_NAMES)), dtype=np.float32)
    bundle.promote(models, bundle.write(models, forest, draft, rows))


@contextmanager
def running(*parts: str) -> Iterator[Stack]:
    """Run parts of a stack on a new state folder with a promoted forest; remove the folder at the end."""
    stack = Stack(paths.STATES / f"bench-{uuid.uuid4().hex[:8]}", parts, StackOptions())
    try:
        promote(stack.state.root / "models", realistic_forest())
        stack.up()
        yield stack
    finally:
        stack.remove()


def load(stack: Stack, rate: float, seconds: float, run: str) -> subprocess.Popen[str]:
    """Start producing trades into the stack's Kafka; the process prints the number of acknowledged trades.

    Args:
        stack: running.
        rate: trades a second.
        seconds: for how long.
        run: prefix of the trade ids, unique for each load.
    """
    arguments = [stack.addresses.kafka, names.TOPIC_TRADES, str(rate), str(seconds), run]
    return subprocess.Popen([sys.executable, "-m", "benchmarks.load", *arguments], stdout=subprocess.PIPE, text=True)
