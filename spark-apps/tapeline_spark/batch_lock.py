"""Stops a query between two batches, never inside one.

Stopping inside a batch makes Spark cancel the batch's jobs: the log fills with errors that are none, and the next start
writes the same documents again.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from pyspark.sql import DataFrame

STOP_TIMEOUT_S: Final = 10.0
OnBatch = Callable[[DataFrame, int], None]


class QueryStopping(Exception):
    """A batch began after its query was stopped. The batch is not done; the next start runs it."""


class BatchLock:
    """Lets one batch run at a time, and none after `stop`."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._lock = threading.Lock()
        self._is_stopping = False

    def wrap(self, work: OnBatch) -> OnBatch:
        """Return a function for foreachBatch that runs `work` under this lock.

        Raises, when it is called:
            QueryStopping: the query is stopping. Returning instead would make Spark commit the batch.
        """

        def locked(batch: DataFrame, number: int) -> None:
            with self._lock:
                if self._is_stopping:
                    raise QueryStopping(f"batch {number} began after its query was stopped")
                work(batch, number)

        return locked

    @contextlib.contextmanager
    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> Iterator[bool]:
        """Refuse every later batch; inside the context no batch runs.

        Yields:
            False if the running batch did not end within `timeout_s`, for example while it waits for a server.
        """
        ended = self._lock.acquire(timeout=timeout_s)
        self._is_stopping = True
        if ended:
            # A batch that waits for the lock must be refused now, not after this context.
            self._lock.release()
        yield ended
