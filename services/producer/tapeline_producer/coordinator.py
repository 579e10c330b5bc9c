"""Reconciles the subscriptions with the selected instruments of the shards that this replica owns or drains.

One task applies every difference: it reads new instruments from the log before they are subscribed, and unsubscribes
instruments that this replica no longer owns.
Not here: the group (sharding/group_member.py), the mapping (sharding/shards.py), the connections (connection/pool.py).
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, NamedTuple

from tapeline.enums import MarketType
from tapeline.instrument import Instrument

from tapeline_producer.connection.pool import ConnectionPool
from tapeline_producer.exchange.symbol_selection import ListedInstrument, SymbolSelection
from tapeline_producer.gaps.log_catchup import LogCatchUp
from tapeline_producer.gaps.log_tail import LogTail
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import TradePipeline
from tapeline_producer.readiness import GROUP, Readiness
from tapeline_producer.sharding.shards import ShardMap, shard_of

log = logging.getLogger(__name__)

_INTERVAL_S: Final = 0.25
_UNLISTED: Final = "not listed by instruments-info"

ReadTail = Callable[[Collection[Instrument]], Awaitable[LogTail]]


class _Selected(NamedTuple):
    """A selected instrument; `refusal` is the reason why it is not requested at once."""

    listed: ListedInstrument
    refusal: str | None


class SubscriptionCoordinator:
    """Subscribed instruments as a reconcile loop; use it from the event loop's thread only."""

    def __init__(
        self,
        shards: ShardMap,
        pool: ConnectionPool,
        pipeline: TradePipeline,
        readiness: Readiness,
        metrics: Metrics,
        read_tail: ReadTail,
        catchup: LogCatchUp | None,
        on_shards_live: Callable[[set[int]], None],
    ) -> None:
        """Start with an empty selection.

        Args:
            shards: ownership of the instruments.
            pool: the connections.
            pipeline: receives the instruments that are added and removed.
            readiness: receives what this replica owns.
            metrics: the same as gauges.
            read_tail: reads what the log holds of instruments; retries until it succeeds.
            catchup: reads the log again where other replicas write too; None without a group.
            on_shards_live: receives assigned shards once all their instruments are subscribed.
        """
        self._shards = shards
        self._pool = pool
        self._pipeline = pipeline
        self._readiness = readiness
        self._metrics = metrics
        self._read_tail = read_tail
        self._catchup = catchup
        self._on_shards_live = on_shards_live
        self._selected: dict[Instrument, _Selected] = {}
        self._subscribed: dict[Instrument, None] = {}
        self._unclaimed: set[int] = set()
        self._changed = asyncio.Event()

    def set_selection(self, selections: Iterable[SymbolSelection]) -> None:
        """Replace the selection by those of all markets."""
        self._selected = {
            listed.instrument: _Selected(listed, refusal)
            for selection in selections
            for instruments, refusal in ((selection.listed, None), (selection.unlisted, _UNLISTED))
            for listed in instruments
        }
        self._request_reconcile()

    def set_shard_count(self, count: int) -> None:
        """Set the number of shards."""
        if count != self._shards.count:
            log.info("shard count changed", extra={"shards": count, "before": self._shards.count})
            self._shards.count = count
            self._request_reconcile()

    def on_assigned(self, shards: Collection[int]) -> None:
        """Add shards to the owned ones; an empty assignment is a valid response of the group, too."""
        self._shards.mark_assigned(shards, time.monotonic())
        self._unclaimed.update(shards)
        self._record_rebalance("assigned", shards)
        self._readiness.set_ready(GROUP)

    def on_revoked(self, shards: Collection[int]) -> None:
        """Drain shards until another replica claims them."""
        self._shards.mark_revoked(shards, time.monotonic())
        self._record_rebalance("revoked", shards)

    def on_lost(self, shards: Collection[int]) -> None:
        """Keep shards until the group is reachable again: to unsubscribe now would turn an outage into gaps."""
        self._shards.mark_lost(shards)
        self._readiness.set_unready(GROUP, "session with the group expired; rejoining")
        self._record_rebalance("lost", shards)

    def on_claimed(self, shards: Collection[int]) -> None:
        """Unsubscribe shards that another replica has claimed."""
        self._metrics.handovers.labels("claimed").inc(len(shards))
        self._shards.mark_claimed(shards)
        self._request_reconcile()

    def _record_rebalance(self, kind: str, shards: Collection[int]) -> None:
        self._metrics.rebalances.labels(kind).inc()
        log.info("shards %s", kind, extra={"shards": sorted(shards), "owned": len(self._shards.owned)})
        self._request_reconcile()

    def _request_reconcile(self) -> None:
        self._readiness.set_unsubscribed_symbols(len(self._unsubscribed()))
        self._changed.set()

    async def run(self) -> None:
        """Reconcile after each change, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_S):
                    await self._changed.wait()
            expired = self._shards.release_expired(time.monotonic())
            if expired:
                log.warning("hand-over timed out; releasing shards", extra={"shards": sorted(expired)})
                self._metrics.handovers.labels("timed_out").inc(len(expired))
            if expired or self._changed.is_set():
                self._changed.clear()
                await self._reconcile()
            self._announce_live_shards()

    async def _reconcile(self) -> None:
        is_wanted = self._shards.includes
        self._unsubscribe([one for one in self._subscribed if one not in self._selected or not is_wanted(one)])
        added = self._unsubscribed()
        if added:
            tail = await self._read_tail(added)
            still_wanted = set(self._unsubscribed())
            self._subscribe([one for one in added if one in still_wanted], tail)
        self._report()

    def _unsubscribed(self) -> list[Instrument]:
        """Return the selected instruments of owned shards that are not subscribed yet."""
        return [one for one in self._selected if one not in self._subscribed and self._shards.owns(one)]

    def _unsubscribe(self, instruments: Collection[Instrument]) -> None:
        self._pool.remove(instruments)
        for instrument in instruments:
            self._pipeline.remove(instrument)
            del self._subscribed[instrument]

    def _subscribe(self, instruments: Collection[Instrument], tail: LogTail) -> None:
        selected = [self._selected[instrument] for instrument in instruments]
        self._pipeline.add([one.listed for one in selected], tail.trackers)
        if self._catchup is not None:
            self._catchup.watch(instruments, tail.end_offsets)
        listed = [one.listed for one in selected if one.refusal is None]
        self._pool.add(listed, {one.listed: one.refusal for one in selected if one.refusal is not None})
        self._subscribed.update(dict.fromkeys(instruments))

    def _report(self) -> None:
        owned = [one for one in self._subscribed if self._shards.owns(one)]
        self._metrics.owned_shards.set(len(self._shards.owned))
        self._metrics.draining_symbols.set(len(self._subscribed) - len(owned))
        counts: Counter[MarketType] = Counter(one.market_type for one in owned)
        for market_type in {one.market_type for one in self._selected}:
            self._metrics.owned_symbols.labels(market_type).set(counts[market_type])
        self._readiness.set_owned(self._shards.owned, len(owned))
        self._readiness.set_unsubscribed_symbols(len(self._unsubscribed()))

    def _announce_live_shards(self) -> None:
        self._unclaimed &= self._shards.assigned
        if not self._unclaimed:
            return
        not_live = {shard_of(one, self._shards.count) for one in self._selected if not self._is_live(one)}
        live = self._unclaimed - not_live
        if live:
            self._unclaimed -= live
            self._on_shards_live(live)

    def _is_live(self, instrument: Instrument) -> bool:
        is_subscribed = instrument in self._subscribed and self._pool.is_acknowledged(instrument)
        return is_subscribed and not self._pipeline.is_paused(instrument)
