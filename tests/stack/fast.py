"""Options of the stacks of tests, which share two cores: they start soon, and batches of few trades are not many."""

from typing import Any

from tapeline_local.stack.options import StackOptions


def fast_options(**chosen: Any) -> StackOptions:
    """Return options of a stack for tests, some of them chosen."""
    plain = {"fast_jit": True, "trades_interval_s": 1.0, "elasticsearch_heap_mib": 384}
    return StackOptions(**(plain | chosen))
