"""What another replica wrote while this one took its symbols up: the log once more, as a second proof.

REST gives few trades back. A busy symbol has more between the reading of the log and the first trade that comes
here, and all of them are in the log: the former owner goes on until the new one has taken over.
To ask for more than trades: `resume.read_on`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from tapeline.service.connection import InvalidConnection

from tapeline_producer.errors import ProducerError
from tapeline_producer.gaps.gap_detector import History
from tapeline_producer.gaps.log_tail import Key, Stored

log = logging.getLogger(__name__)

ReadOn = Callable[[Collection[Key], Mapping[int, int]], list[Stored]]


class _Question(NamedTuple):
    history: History
    since: Mapping[int, int]
    answered: asyncio.Future[None]


class Witness:
    """Reads on for several symbols at once; use it from the event loop's thread only."""

    def __init__(self, read_on: ReadOn) -> None:
        """Start with nothing to testify to.

        Args:
            read_on: see `resume.read_on`; blocks, is called in a thread.
        """
        self._read_on = read_on
        self._since: dict[Key, Mapping[int, int]] = {}
        self._asked: list[_Question] = []
        self._work: asyncio.Task[None] | None = None

    def expect(self, keys: Collection[Key], since: Mapping[int, int]) -> None:
        """Note symbols that are being taken over, and up to which offsets their log was read."""
        self._since.update(dict.fromkeys(keys, since))

    def dismiss(self, key: Key) -> None:
        """Note that a symbol is taken over: from now on nobody else writes its trades."""
        self._since.pop(key, None)

    async def testify(self, history: History) -> None:
        """Let a history know what was written since; at once where nobody else can have written."""
        since = self._since.get((history.market_type, history.symbol))
        if since is None:
            return
        answered = asyncio.get_running_loop().create_future()
        self._asked.append(_Question(history, since, answered))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._answer())
        await answered

    async def _answer(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            # A partition that one of them has not read is read whole, at worst.
            shared = set.intersection(*(set(question.since) for question in asked))
            since = {number: min(question.since[number] for question in asked) for number in shared}
            histories: dict[Key, list[History]] = {}
            for question in asked:
                histories.setdefault((question.history.market_type, question.history.symbol), []).append(
                    question.history
                )
            try:
                found = await asyncio.to_thread(self._read_on, frozenset(histories), since)
            except (ProducerError, InvalidConnection) as error:
                log.warning("what another replica wrote could not be read: %s", error)
                found = []
            for stored in found:
                for history in histories[stored.market_type, stored.symbol]:
                    stored.remember_in(history)
            for question in asked:
                if not question.answered.done():
                    question.answered.set_result(None)
