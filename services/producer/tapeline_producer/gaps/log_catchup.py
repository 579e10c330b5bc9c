"""Reads the log again during a hand-over, for the trades that another replica wrote meanwhile.

REST returns few trades. A busy symbol has more between the reading of the log and the first trade of the stream,
and the log has all of them: the former owner keeps writing until the new one has claimed the shard.
To read more than trades: `log_tail.read_since`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from tapeline.instrument import Instrument
from tapeline.service.connection import InvalidConnection

from tapeline_producer.errors import ProducerError
from tapeline_producer.gaps.gap_detector import SequenceTracker
from tapeline_producer.gaps.log_tail import LoggedTrade, LogPartition

log = logging.getLogger(__name__)

ReadSince = Callable[[Collection[Instrument], Mapping[LogPartition, int]], list[LoggedTrade]]


class _Request(NamedTuple):
    tracker: SequenceTracker
    since: Mapping[LogPartition, int]
    done: asyncio.Future[None]


class LogCatchUp:
    """Catches trackers up with the log, several in one reading; use it from the event loop's thread only."""

    def __init__(self, read_since: ReadSince) -> None:
        """Start without a watched instrument.

        Args:
            read_since: see `log_tail.read_since`; blocks, is called in a thread.
        """
        self._read_since = read_since
        self._since: dict[Instrument, Mapping[LogPartition, int]] = {}
        self._requests: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    def watch(self, instruments: Collection[Instrument], since: Mapping[LogPartition, int]) -> None:
        """Watch instruments that are being taken over, and the offsets up to which their log was read."""
        self._since.update(dict.fromkeys(instruments, since))

    def unwatch(self, instrument: Instrument) -> None:
        """Stop to watch an instrument: from now on no other replica writes its trades."""
        self._since.pop(instrument, None)

    async def catch_up(self, tracker: SequenceTracker) -> None:
        """Record in a tracker what was logged since; return at once if its instrument is not watched."""
        since = self._since.get(tracker.instrument)
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
            since = {partition: min(request.since[partition] for request in requests) for partition in shared}
            trackers: dict[Instrument, list[SequenceTracker]] = {}
            for request in requests:
                trackers.setdefault(request.tracker.instrument, []).append(request.tracker)
            try:
                logged = await asyncio.to_thread(self._read_since, frozenset(trackers), since)
            except (ProducerError, InvalidConnection) as error:
                log.warning("log catch-up failed: %s", error)
                logged = []
            for trade in logged:
                for tracker in trackers[trade.instrument]:
                    trade.record_in(tracker)
            for request in requests:
                if not request.done.done():
                    request.done.set_result(None)
