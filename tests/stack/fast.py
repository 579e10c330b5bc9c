"""Options of the stacks of tests, which share two cores: they start soon, and batches of few trades are not many."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tapeline_local import paths
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack


def fast_options(**chosen: Any) -> StackOptions:
    """Return options of a stack for tests, some of them chosen; environments are merged, the chosen ones win."""
    plain = {"fast_jit": True, "trades_interval_s": 1.0, "elasticsearch_heap_mib": 384}
    env = {part: dict(values) for part, values in chosen.pop("extra_env", {}).items()}
    env["spark"] = {"STREAM_CANDLES_INTERVAL_S": "4"} | env.get("spark", {})
    return StackOptions(**(plain | chosen), extra_env=env)


def new_state() -> Path:
    """Return a state folder of a test's own.

    Not pytest's own temporary folder: Elasticsearch runs as another user when we are root, and that is closed.
    """
    return paths.STATES / f"test-{uuid.uuid4().hex[:8]}"


@contextmanager
def running_stack(parts: tuple[str, ...], options: StackOptions, except_for: tuple[str, ...] = ()) -> Iterator[Stack]:
    """Start a stack, some of its parts excepted, and remove it with its data at the end."""
    stack = Stack(new_state(), parts, options)
    try:
        stack.up(except_for=except_for)
        yield stack
    finally:
        stack.remove()
