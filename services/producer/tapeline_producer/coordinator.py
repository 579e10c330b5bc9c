"""Reconciles the subscriptions with the selected symbols of the shards that this replica owns or drains.

One task applies every difference: it reads new symbols from the log before they are subscribed, and unsubscribes
symbols that this replica no longer owns.
Not here: the group (sharding/group_member.py), the mapping (sharding/shards.py), the connections (connection/pool.py).
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from tapeline_producer.connection.pool import ConnectionPool
from tapeline_producer.exchange.symbol_selection import SymbolSelection
from tapeline_producer.gaps.log_catchup import LogCatchUp
from tapeline_producer.gaps.log_tail import InstrumentKey, LogTail
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import TradePipeline
from tapeline_producer.readiness import GROUP, Readiness
from tapeline_producer.sharding.shards import ShardMap, shard_of

log = logging.getLogger(__name__)

_INTERVAL_S: Final = 0.25
_UNLISTED: Final = "not listed by instruments-info"

ReadTail = Callable[[Collection[InstrumentKey]], Awaitable[LogTail]]


class SubscriptionCoordinator:
    """Subscribed symbols as a reconcile loop; use it from the event loop's thread only."""

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
            shards: ownership of the symbols.
            pool: the connections.
            pipeline: receives the symbols that are added and removed.
            readiness: receives what this replica owns.
            metrics: the same as gauges.
            read_tail: reads what the log holds of symbols; retries until it succeeds.
            catchup: reads the log again where other replicas write too; None without a group.
            on_shards_live: receives assigned shards once all their symbols are subscribed.
        """
        self._shards = shards
        self._pool = pool
        self._pipeline = pipeline
        self._readiness = readiness
        self._metrics = metrics
        self._read_tail = read_tail
        self._catchup = catchup
        self._on_shards_live = on_shards_live
        self._selected: dict[InstrumentKey, str | None] = {}
        self._subscribed: dict[InstrumentKey, None] = {}
        self._unclaimed: set[int] = set()
        self._changed = asyncio.Event()

    def set_selection(self, selections: Mapping[str, SymbolSelection]) -> None:
        """Replace the selection, by market_type."""
        self._selected = {
            (market_type, symbol): reason
            for market_type, selection in selections.items()
            for symbols, reason in ((selection.listed, None), (selection.unlisted, _UNLISTED))
            for symbol in symbols
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
        self._readiness.hold(GROUP)

    def on_revoked(self, shards: Collection[int]) -> None:
        """Drain shards until another replica claims them."""
        self._shards.mark_revoked(shards, time.monotonic())
        self._record_rebalance("revoked", shards)

    def on_lost(self, shards: Collection[int]) -> None:
        """Keep shards until the group is reachable again: to unsubscribe now would turn an outage into gaps."""
        self._shards.mark_lost(shards)
        self._readiness.fail(GROUP, "session with the group expired; rejoining")
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
        self._unsubscribe([key for key in self._subscribed if key not in self._selected or not is_wanted(*key)])
        added = self._unsubscribed()
        if added:
            tail = await self._read_tail(added)
            still_wanted = set(self._unsubscribed())
            self._subscribe([key for key in added if key in still_wanted], tail)
        self._report()

    def _unsubscribed(self) -> list[InstrumentKey]:
        """Return the selected symbols of owned shards that are not subscribed yet."""
        return [key for key in self._selected if key not in self._subscribed and self._shards.owns(*key)]

    def _unsubscribe(self, keys: Iterable[InstrumentKey]) -> None:
        for market_type, symbols in _by_market_type(keys).items():
            self._pool.remove(market_type, symbols)
            for symbol in symbols:
                self._pipeline.remove_symbol(market_type, symbol)
                del self._subscribed[market_type, symbol]

    def _subscribe(self, keys: Iterable[InstrumentKey], tail: LogTail) -> None:
        for market_type, symbols in _by_market_type(keys).items():
            self._pipeline.add_trackers(tail.trackers.get_or_create(market_type, symbol) for symbol in symbols)
            if self._catchup is not None:
                self._catchup.watch([(market_type, symbol) for symbol in symbols], tail.end_offsets)
            reasons = {symbol: self._selected[market_type, symbol] for symbol in symbols}
            listed = [symbol for symbol, reason in reasons.items() if reason is None]
            self._pool.add(market_type, listed, {symbol: reason for symbol, reason in reasons.items() if reason})
            self._subscribed.update(dict.fromkeys((market_type, symbol) for symbol in symbols))

    def _report(self) -> None:
        owned = [key for key in self._subscribed if self._shards.owns(*key)]
        self._metrics.owned_shards.set(len(self._shards.owned))
        self._metrics.draining_symbols.set(len(self._subscribed) - len(owned))
        counts = Counter(market_type for market_type, _ in owned)
        for market_type in {market_type for market_type, _ in self._selected}:
            self._metrics.owned_symbols.labels(market_type).set(counts[market_type])
        self._readiness.set_owned(self._shards.owned, len(owned))
        self._readiness.set_unsubscribed_symbols(len(self._unsubscribed()))

    def _announce_live_shards(self) -> None:
        self._unclaimed &= self._shards.assigned
        if not self._unclaimed:
            return
        not_live = {shard_of(*key, self._shards.count) for key in self._selected if not self._is_live(key)}
        live = self._unclaimed - not_live
        if live:
            self._unclaimed -= live
            self._on_shards_live(live)

    def _is_live(self, key: InstrumentKey) -> bool:
        return key in self._subscribed and self._pool.is_acknowledged(*key) and not self._pipeline.is_paused(*key)


def _by_market_type(keys: Iterable[InstrumentKey]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for market_type, symbol in keys:
        found.setdefault(market_type, []).append(symbol)
    return found
