"""The same question at the same time is asked once: answers in flight are shared, and given again for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

_ENTRIES_MAX = 256


class Once:
    """Answers by question; at most _ENTRIES_MAX of them."""

    def __init__(self, ttl_s: float) -> None:
        """Give an answer again for so many seconds after it was asked for."""
        self._ttl_s = ttl_s
        self._tasks: dict[Hashable, tuple[float, asyncio.Task[bytes]]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the answer to a question.

        A failure is shared with those who wait for it, and forgotten at once. Who goes away meanwhile takes nothing
        from the others.

        Args:
            key: what is asked.
            ask: how.
        """
        now_s = asyncio.get_running_loop().time()
        self._forget(now_s)
        known = self._tasks.get(key)
        if known is None:
            task = asyncio.create_task(self._asked(key, ask))
            # A failure that all who waited have gone away from is nobody's.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._tasks[key] = (now_s + self._ttl_s, task)
        else:
            task = known[1]
        return await asyncio.shield(task)

    async def _asked(self, key: Hashable, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            return await ask()
        except BaseException:
            self._tasks.pop(key, None)
            raise

    def _forget(self, now_s: float) -> None:
        old = [key for key, (until_s, task) in self._tasks.items() if until_s < now_s and task.done()]
        if not old and len(self._tasks) >= _ENTRIES_MAX:
            old = [key for key, (_, task) in self._tasks.items() if task.done()][:1]
        for key in old:
            del self._tasks[key]
