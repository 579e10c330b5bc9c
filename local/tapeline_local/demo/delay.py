"""How long a trade takes until it can be searched.

Every poll asks for documents that were not visible at the poll before; they became visible at most
one poll ago, so `now - trade` is an upper bound, late by no more than the polling interval.
"""

import time
from collections import Counter
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError
from tapeline import names

_STEP_MS = 25
_REVISITED_MS = 60_000


class DelayMeter:
    """Collects delays as a histogram with steps of 25 ms."""

    def __init__(self, client: Elasticsearch, basis: str) -> None:
        """Count nothing yet.

        Args:
            client: of the Elasticsearch that is asked.
            basis: field the delay counts from: `traded_at`, or `received_at` where trades are replayed.
        """
        self._client, self._basis = client.options(request_timeout=5), basis
        self._from_ms = time.time_ns() // 1_000_000 // _STEP_MS * _STEP_MS
        self._seen: Counter[int] = Counter()
        self.delays_ms: Counter[int] = Counter()

    def poll(self) -> None:
        """Add what has become visible since the last poll; an Elasticsearch that is away adds nothing."""
        try:
            buckets = self._buckets()
        except (ApiError, TransportError):
            return
        now_ms = time.time_ns() // 1_000_000
        for bucket in buckets:
            start, count = int(bucket["key"]), int(bucket["doc_count"])
            fresh = count - self._seen[start]
            if fresh > 0:
                self._seen[start] = count
                delay = max(0, now_ms - start)
                self.delays_ms[delay // _STEP_MS * _STEP_MS] += fresh
        # Older ones are only revisited for as long as an outage may have held them back. The bound lies on
        # a step: a bucket asked for in part would look like a new, smaller one.
        self._from_ms = max(self._from_ms, (now_ms - _REVISITED_MS) // _STEP_MS * _STEP_MS)
        for start in [start for start in self._seen if start < self._from_ms]:
            del self._seen[start]

    def _buckets(self) -> list[dict[str, Any]]:
        answer = self._client.search(
            index=f"{names.INDEX_TRADES_PREFIX}*",
            size=0,
            query={"range": {self._basis: {"gte": self._from_ms}}},
            aggs={"when": {"histogram": {"field": self._basis, "interval": _STEP_MS, "min_doc_count": 1}}},
            ignore_unavailable=True,
            allow_no_indices=True,
        )
        aggregations = answer.body.get("aggregations")
        buckets: list[dict[str, Any]] = aggregations["when"]["buckets"] if aggregations else []
        return buckets

    def percentile_ms(self, share: float) -> int | None:
        """Return the delay in ms that `share` (0..1) of the trades did not exceed; None without any."""
        total = self.delays_ms.total()
        reached = 0
        for delay in sorted(self.delays_ms):
            reached += self.delays_ms[delay]
            if reached >= share * total:
                return delay + _STEP_MS
        return None
