"""What is followed now: the selected symbols of the shares that are ours, and of those that another takes over.

Whatever changes (shares, selection), the difference to what is followed is worked off here, by one task:
new symbols are read from the log before they are subscribed, and symbols that are no longer ours are let go of.
Not here: the group (membership.py), the sums (shares.py), the connections (pool.py).
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from tapeline_producer.connection.pool import Pool
from tapeline_producer.exchange.symbol_selection import Selection
from tapeline_producer.gaps.log_catchup import Witness
from tapeline_producer.gaps.log_tail import Key, Reading
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import Intake
from tapeline_producer.readiness import GROUP, Status
from tapeline_producer.sharding.shards import Shares, share_of

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.25
_UNLISTED: Final = "not listed by instruments-info"

Read = Callable[[Collection[Key]], Awaitable[Reading]]


class Roster:
    """The list of followed symbols; use it from the event loop's thread only."""

    def __init__(
        self, shares: Shares, pool: Pool, intake: Intake, status: Status, metrics: Metrics, read: Read
    ) -> None:
        """Start with nothing selected and no share.

        Args:
            shares: whose a symbol is.
            pool: the connections.
            intake: told which symbols come and go.
            status: told what is ours.
            metrics: the same in numbers.
            read: gives what the log holds of symbols; does not give up.
        """
        self._shares = shares
        self._pool = pool
        self._intake = intake
        self._status = status
        self._metrics = metrics
        self._read = read
        self._selected: dict[Key, str | None] = {}
        self._followed: dict[Key, None] = {}
        self._not_taken_up: set[int] = set()
        self._changed = asyncio.Event()
        self.witness: Witness | None = None
        """Asked where other replicas write too; None alone."""
        self.when_taken_up: Callable[[set[int]], None] = lambda shares: None
        """Called with shares of ours all of whose symbols are followed from now on."""

    def select(self, selections: Mapping[str, Selection]) -> None:
        """Take a selection, by market_type, in place of the one before."""
        self._selected = {
            (market_type, symbol): reason
            for market_type, selection in selections.items()
            for symbols, reason in ((selection.listed, None), (selection.unlisted, _UNLISTED))
            for symbol in symbols
        }
        self._change()

    def deal(self, count: int) -> None:
        """Note how many shares there are."""
        if count != self._shares.count:
            log.info("the symbols fall into shares", extra={"shares": count, "before": self._shares.count})
            self._shares.count = count
            self._change()

    def assigned(self, shares: Collection[int]) -> None:
        """Take shares; none at all is an answer of the group, too."""
        self._shares.assigned(shares, time.monotonic())
        self._not_taken_up.update(shares)
        self._note("assigned", shares)
        self._status.hold(GROUP)

    def revoked(self, shares: Collection[int]) -> None:
        """Go on with shares until another replica has taken them up."""
        self._shares.revoked(shares, time.monotonic())
        self._note("revoked", shares)

    def lost(self, shares: Collection[int]) -> None:
        """Go on with shares until the group is heard again: to stop now would make holes out of an outage."""
        self._shares.lost(shares)
        self._status.fail(GROUP, "the group was not heard for too long; joining again")
        self._note("lost", shares)

    def taken(self, shares: Collection[int]) -> None:
        """Let go of shares that another replica has taken up."""
        self._metrics.handovers.labels("taken").inc(len(shares))
        self._shares.taken(shares)
        self._change()

    def _note(self, kind: str, shares: Collection[int]) -> None:
        self._metrics.rebalances.labels(kind).inc()
        log.info("shares %s", kind, extra={"shares": sorted(shares), "own": len(self._shares.own)})
        self._change()

    def _change(self) -> None:
        self._status.expect_symbols(len(self._fresh()))
        self._changed.set()

    async def run(self) -> None:
        """Follow what is to be followed, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
            late = self._shares.overdue(time.monotonic())
            if late:
                log.warning("nobody took shares up in time", extra={"shares": sorted(late)})
                self._metrics.handovers.labels("overdue").inc(len(late))
            if late or self._changed.is_set():
                self._changed.clear()
                await self._settle()
            self._tell_taken_up()

    async def _settle(self) -> None:
        is_wanted = self._shares.follows
        self._let_go([key for key in self._followed if key not in self._selected or not is_wanted(*key)])
        fresh = self._fresh()
        if fresh:
            reading = await self._read(fresh)
            still = set(self._fresh())
            self._take_up([key for key in fresh if key in still], reading)
        self._tell()

    def _fresh(self) -> list[Key]:
        return [key for key in self._selected if key not in self._followed and self._shares.reports(*key)]

    def _let_go(self, keys: Iterable[Key]) -> None:
        for market_type, symbols in _by_market_type(keys).items():
            self._pool.remove(market_type, symbols)
            for symbol in symbols:
                self._intake.forget(market_type, symbol)
                del self._followed[market_type, symbol]

    def _take_up(self, keys: Iterable[Key], reading: Reading) -> None:
        for market_type, symbols in _by_market_type(keys).items():
            self._intake.adopt(reading.histories.of(market_type, symbol) for symbol in symbols)
            if self.witness is not None:
                self.witness.expect([(market_type, symbol) for symbol in symbols], reading.ends)
            reasons = {symbol: self._selected[market_type, symbol] for symbol in symbols}
            listed = [symbol for symbol, reason in reasons.items() if reason is None]
            self._pool.add(market_type, listed, {symbol: reason for symbol, reason in reasons.items() if reason})
            self._followed.update(dict.fromkeys((market_type, symbol) for symbol in symbols))

    def _tell(self) -> None:
        own = [key for key in self._followed if self._shares.reports(*key)]
        self._metrics.owned_partitions.set(len(self._shares.own))
        self._metrics.leaving_symbols.set(len(self._followed) - len(own))
        counts = Counter(market_type for market_type, _ in own)
        for market_type in {market_type for market_type, _ in self._selected}:
            self._metrics.owned_symbols.labels(market_type).set(counts[market_type])
        self._status.own(self._shares.own, len(own))
        self._status.expect_symbols(len(self._fresh()))

    def _tell_taken_up(self) -> None:
        self._not_taken_up &= self._shares.given
        if not self._not_taken_up:
            return
        waiting = {share_of(*key, self._shares.count) for key in self._selected if not self._is_live(key)}
        done = self._not_taken_up - waiting
        if done:
            self._not_taken_up -= done
            self.when_taken_up(done)

    def _is_live(self, key: Key) -> bool:
        return key in self._followed and self._pool.is_answered(*key) and not self._intake.is_holding(*key)


def _by_market_type(keys: Iterable[Key]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for market_type, symbol in keys:
        found.setdefault(market_type, []).append(symbol)
    return found
