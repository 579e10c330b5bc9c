"""A door before a query's batches, so that it is stopped between two of them and not within one.

Stopped within one, Spark cancels its jobs under the function that carries it, the log fills with errors that are none,
and what was written is written once more by the next start.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from pyspark.sql import DataFrame

PATIENCE_S: Final = 10.0
OnBatch = Callable[[DataFrame, int], None]


class ShutGate(Exception):
    """A batch began after the end of its query; it is not done, and stays to be done."""


class Gate:
    """Lets one batch through at a time, and none once it is shut."""

    def __init__(self) -> None:
        """Begin open."""
        self._passing = threading.Lock()
        self._is_shut = False

    def guarding(self, work: OnBatch) -> OnBatch:
        """Return a function for foreachBatch that does `work` behind this gate.

        Raises, when it is called:
            ShutGate: the query is ending. Returning instead would tell Spark that the batch is done.
        """

        def guarded(batch: DataFrame, number: int) -> None:
            with self._passing:
                if self._is_shut:
                    raise ShutGate(f"batch {number} began after its query was told to end")
                work(batch, number)

        return guarded

    @contextlib.contextmanager
    def shut(self, patience_s: float = PATIENCE_S) -> Iterator[bool]:
        """Shut it for good; inside, no batch is under way.

        Yields:
            False where the batch under way did not end within `patience_s`, such as one that waits for a server.
        """
        ended = self._passing.acquire(timeout=patience_s)
        self._is_shut = True
        if ended:
            # A batch that has come to the door meanwhile must be turned away, not kept waiting for us.
            self._passing.release()
        yield ended
