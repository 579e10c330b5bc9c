"""Reads the log again during a hand-over, for the trades that another replica wrote meanwhile.

REST returns few trades. A busy symbol has more between the reading of the log and the first trade of the stream,
and the log has all of them: the former owner keeps writing until the new one has claimed the shard.
To read more than trades: `log_tail.read_since`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from tapeline.service.connection import InvalidConnection

from tapeline_producer.errors import ProducerError
from tapeline_producer.gaps.gap_detector import SequenceTracker
from tapeline_producer.gaps.log_tail import InstrumentKey, LoggedTrade

log = logging.getLogger(__name__)

ReadSince = Callable[[Collection[InstrumentKey], Mapping[int, int]], list[LoggedTrade]]


class _Request(NamedTuple):
    tracker: SequenceTracker
    since: Mapping[int, int]
    done: asyncio.Future[None]


class LogCatchUp:
    """Catches trackers up with the log, several in one reading; use it from the event loop's thread only."""

    def __init__(self, read_since: ReadSince) -> None:
        """Start without a watched symbol.

        Args:
            read_since: see `log_tail.read_since`; blocks, is called in a thread.
        """
        self._read_since = read_since
        self._since: dict[InstrumentKey, Mapping[int, int]] = {}
        self._requests: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    def watch(self, keys: Collection[InstrumentKey], since: Mapping[int, int]) -> None:
        """Watch symbols that are being taken over, and the offsets up to which their log was read."""
        self._since.update(dict.fromkeys(keys, since))

    def unwatch(self, key: InstrumentKey) -> None:
        """Stop to watch a symbol: from now on no other replica writes its trades."""
        self._since.pop(key, None)

    async def catch_up(self, tracker: SequenceTracker) -> None:
        """Record in a tracker what was logged since; return at once if the symbol is not watched."""
        since = self._since.get((tracker.market_type, tracker.symbol))
        if since is None:
            return
        done = asyncio.get_running_loop().create_future()
        self._requests.append(_Request(tracker, since, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._process_requests())
        await done

    async def _process_requests(self) -> None:
        while self._requests:
            requests, self._requests = self._requests, []
            # A partition that one of the requests has no offset of is read from its beginning, at worst.
            shared = set.intersection(*(set(request.since) for request in requests))
            since = {number: min(request.since[number] for request in requests) for number in shared}
            trackers: dict[InstrumentKey, list[SequenceTracker]] = {}
            for request in requests:
                key = request.tracker.market_type, request.tracker.symbol
                trackers.setdefault(key, []).append(request.tracker)
            try:
                logged = await asyncio.to_thread(self._read_since, frozenset(trackers), since)
            except (ProducerError, InvalidConnection) as error:
                log.warning("log catch-up failed: %s", error)
                logged = []
            for trade in logged:
                for tracker in trackers[trade.market_type, trade.symbol]:
                    trade.record_in(tracker)
            for request in requests:
                if not request.done.done():
                    request.done.set_result(None)
