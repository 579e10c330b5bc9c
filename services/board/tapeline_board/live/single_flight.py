"""Runs equal concurrent queries once: callers share the response in flight, and reuse it for a short time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

_ENTRIES_MAX = 256


class SingleFlight:
    """Responses by key; at most _ENTRIES_MAX of them."""

    def __init__(self, ttl_s: float) -> None:
        """Reuse a response for so many seconds after its query began."""
        self._ttl_s = ttl_s
        self._tasks: dict[Hashable, tuple[float, asyncio.Task[bytes]]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the response for a key.

        All waiting callers share a failure; no later caller gets it. A cancelled caller does not affect the others.

        Args:
            key: of the query.
            fetch: runs the query.
        """
        now_s = asyncio.get_running_loop().time()
        self._evict(now_s)
        known = self._tasks.get(key)
        if known is None:
            task = asyncio.create_task(self._fetch(key, fetch))
            # Without a caller left, nobody else retrieves the exception.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._tasks[key] = (now_s + self._ttl_s, task)
        else:
            task = known[1]
        return await asyncio.shield(task)

    async def _fetch(self, key: Hashable, fetch: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            return await fetch()
        except BaseException:
            self._tasks.pop(key, None)
            raise

    def _evict(self, now_s: float) -> None:
        old = [key for key, (until_s, task) in self._tasks.items() if until_s < now_s and task.done()]
        if not old and len(self._tasks) >= _ENTRIES_MAX:
            old = [key for key, (_, task) in self._tasks.items() if task.done()][:1]
        for key in old:
            del self._tasks[key]
