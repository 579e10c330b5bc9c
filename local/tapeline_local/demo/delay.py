"""Measures the delay from a trade to its document being searchable.

Each poll counts the documents that the previous poll did not see. Such a document became visible within the last
polling interval, so `now - trade` is an upper bound that is too high by at most one interval.
"""

from collections import Counter
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError
from tapeline import names
from tapeline.service import clock

_BUCKET_MS = 25
_REVISITED_MS = 60_000


class DelayMeter:
    """Histogram of delays with buckets of 25 ms."""

    def __init__(self, client: Elasticsearch, basis: str) -> None:
        """Start with an empty histogram.

        Args:
            client: of the Elasticsearch that holds the trades.
            basis: field that the delay starts from: `traded_at`, or `received_at` for replayed trades.
        """
        self._client, self._basis = client.options(request_timeout=5), basis
        self._from_ms = clock.now_ms() // _BUCKET_MS * _BUCKET_MS
        self._seen: Counter[int] = Counter()
        self.delays_ms: Counter[int] = Counter()

    def poll(self) -> None:
        """Add the documents that became visible since the last poll; no-op while Elasticsearch is unavailable."""
        try:
            buckets = self._buckets()
        except (ApiError, TransportError):
            return
        now_ms = clock.now_ms()
        for bucket in buckets:
            start, count = int(bucket["key"]), int(bucket["doc_count"])
            fresh = count - self._seen[start]
            if fresh > 0:
                self._seen[start] = count
                delay = max(0, now_ms - start)
                self.delays_ms[delay // _BUCKET_MS * _BUCKET_MS] += fresh
        # Trades older than this are not polled again; an outage may delay them that long. The bound is a bucket's
        # edge: a bucket cut by the range query would look like a new, smaller one.
        self._from_ms = max(self._from_ms, (now_ms - _REVISITED_MS) // _BUCKET_MS * _BUCKET_MS)
        for start in [start for start in self._seen if start < self._from_ms]:
            del self._seen[start]

    def _buckets(self) -> list[dict[str, Any]]:
        response = self._client.search(
            index=f"{names.INDEX_TRADES_PREFIX}*",
            size=0,
            query={"range": {self._basis: {"gte": self._from_ms}}},
            aggs={"when": {"histogram": {"field": self._basis, "interval": _BUCKET_MS, "min_doc_count": 1}}},
            ignore_unavailable=True,
            allow_no_indices=True,
        )
        aggregations = response.body.get("aggregations")
        buckets: list[dict[str, Any]] = aggregations["when"]["buckets"] if aggregations else []
        return buckets

    def percentile_ms(self, quantile: float) -> int | None:
        """Return the delay in ms that a `quantile` (0..1) of the trades did not exceed; None without trades."""
        total = self.delays_ms.total()
        cumulative = 0
        for delay in sorted(self.delays_ms):
            cumulative += self.delays_ms[delay]
            if cumulative >= quantile * total:
                return delay + _BUCKET_MS
        return None
