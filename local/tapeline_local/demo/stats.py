"""Collects the demo's statistics from each part over its own interface; an unavailable part gives None."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from confluent_kafka import Consumer, KafkaException, TopicPartition
from elasticsearch import ApiError, Elasticsearch, TransportError
from prometheus_client.parser import text_string_to_metric_families
from tapeline import names
from tapeline.instrument import Instrument, instrument_of

from tapeline_local.demo import readers
from tapeline_local.stack.stack import Addresses

_TIMEOUT_S = 2.0
_SYMBOLS = 8
RECEIVED = "tapeline_trades_received_total"
RECORDS = "tapeline_stream_records_total"


@dataclass(frozen=True)
class SymbolStats:
    """One instrument's newest trade and its prediction."""

    instrument: Instrument
    trades: int
    price: str
    state: str
    probability: float | None


@dataclass
class StatsSnapshot:
    """Statistics of the whole stack at one moment; None where a part did not respond.

    Attributes:
        exchange: status response of the simulator; None with the real exchange.
        received: trades that the producers received, summed over their restarts.
        produced: records in the topic of trades.
        repeated: records that Spark found to be indexed already, since its start.
        indexed: documents of trades.
        gaps: gap documents.
        rejected: reject documents.
        by_state: documents by prediction state.
        symbols: with the most trades, in descending order.
        model: response of the inference service to /model.
    """

    exchange: dict[str, Any] | None = None
    received: int = 0
    produced: int | None = None
    repeated: int = 0
    indexed: int | None = None
    gaps: int | None = None
    rejected: int | None = None
    by_state: dict[str, int] = field(default_factory=dict)
    symbols: list[SymbolStats] = field(default_factory=list)
    model: dict[str, Any] | None = None

    @property
    def sent(self) -> int | None:
        """Return the number of trades that the simulator sent."""
        return None if self.exchange is None else int(self.exchange["sent"])


class ResetTolerantCounter:
    """Total of a counter that resets to zero when its process restarts."""

    def __init__(self, total: int = 0) -> None:
        """Continue from an earlier total."""
        self.total, self._last = total, 0

    def record(self, value: int) -> int:
        """Record a sample; return the total over all restarts."""
        self.total += value - self._last if value >= self._last else value
        self._last = value
        return self.total


class StatsCollector:
    """Queries every part, one snapshot a call."""

    def __init__(self, addresses: Addresses, received_before: int, with_simulator: bool) -> None:
        """Connect on first use.

        Args:
            addresses: of the running stack.
            received_before: trades received in earlier runs on the same state folder.
            with_simulator: False with the real exchange.
        """
        self._addresses, self._with_simulator = addresses, with_simulator
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)
        self.elastic = Elasticsearch(addresses.elasticsearch, request_timeout=10, max_retries=0)
        self._received = {address: ResetTolerantCounter() for address in addresses.producers}
        self._received_before = received_before
        self._consumer = Consumer({"bootstrap.servers": addresses.kafka, "group.id": "tapeline-demo", "log_level": 0})

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        self._consumer.close()
        self.elastic.close()

    def collect(self) -> StatsSnapshot:
        """Return the current statistics of every part."""
        stats = StatsSnapshot(
            exchange=self.exchange_status(), received=self.received_total(), produced=self.produced_total()
        )
        stats.repeated = self._repeated()
        stats.model = self._get_json(f"{self._addresses.inference}/model")
        try:
            self._query_indices(stats)
        except TransportError:
            stats.indexed = None
        except ApiError as error:
            # 503 while an index starts or recovers; any other status is a defect of ours.
            if error.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise
            stats.indexed = None
        return stats

    def exchange_status(self) -> dict[str, Any] | None:
        """Return the status response of the simulator."""
        return self._get_json(f"{self._addresses.simulator}/simulator/status") if self._with_simulator else None

    def pause_exchange(self) -> None:
        """Pause the simulator; its sockets stay open.

        Raises:
            httpx.HTTPError: the simulator did not respond.
        """
        self._http.post(f"{self._addresses.simulator}/simulator/pause").raise_for_status()

    def resume_exchange(self) -> None:
        """Resume the simulator."""
        self._http.post(f"{self._addresses.simulator}/simulator/resume").raise_for_status()

    def produced_total(self) -> int | None:
        """Return the number of records ever written to the topic of trades."""
        try:
            topic = self._consumer.list_topics(names.TOPIC_TRADES, timeout=_TIMEOUT_S).topics[names.TOPIC_TRADES]
            ends = (
                self._consumer.get_watermark_offsets(TopicPartition(names.TOPIC_TRADES, number), _TIMEOUT_S)
                for number in topic.partitions
            )
            return sum(high for _, high in ends)
        except (KafkaException, TypeError):
            return None

    def received_total(self) -> int:
        """Return the number of trades that the producers received, earlier runs and restarts included."""
        for address, counter in self._received.items():
            total = sum(value for _, value in self._samples(f"{address}/metrics", RECEIVED))
            if total:
                counter.record(int(total))
        return self._received_before + sum(counter.total for counter in self._received.values())

    def _repeated(self) -> int:
        if len(self._received) == 1:
            return 0
        found = self._samples(f"{self._addresses.spark}/metrics", RECORDS)
        return int(sum(value for labels, value in found if labels.get("outcome") in ("duplicate", "conflict")))

    def _samples(self, address: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
        try:
            text = self._http.get(address).text
        except httpx.HTTPError:
            return
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    yield sample.labels, sample.value

    def _get_json(self, address: str) -> dict[str, Any] | None:
        try:
            response = self._http.get(address)
        except httpx.HTTPError:
            return None
        return response.json() if response.status_code == httpx.codes.OK else None

    def _query_indices(self, stats: StatsSnapshot) -> None:
        trades = f"{names.INDEX_TRADES_PREFIX}*"
        newest = {"size": 1, "sort": [{"@timestamp": "desc"}, {"sequence": "desc"}, {"frame_index": "desc"}]}
        per_symbol = {
            "terms": {"field": "symbol", "size": _SYMBOLS},
            "aggs": {"newest": {"top_hits": newest}},
        }
        per_market_type = {"terms": {"field": "market_type"}, "aggs": {"symbols": per_symbol}}
        per_venue = {"terms": {"field": "venue"}, "aggs": {"market_types": per_market_type}}
        response = self.elastic.search(
            index=trades,
            size=0,
            track_total_hits=True,
            aggs={"states": {"terms": {"field": "prediction_state"}}, "venues": per_venue},
            allow_no_indices=True,
            ignore_unavailable=True,
        )
        stats.indexed = response["hits"]["total"]["value"]
        found = response.body.get("aggregations")
        if found:
            stats.by_state = {b["key"]: b["doc_count"] for b in found["states"]["buckets"]}
            rows = [
                _parse_symbol(symbol)
                for venue in found["venues"]["buckets"]
                for market_type in venue["market_types"]["buckets"]
                for symbol in market_type["symbols"]["buckets"]
            ]
            stats.symbols = sorted(rows, key=lambda row: -row.trades)[:_SYMBOLS]
        stats.gaps = readers.count_documents(self.elastic, names.INDEX_GAPS)
        stats.rejected = readers.count_documents(self.elastic, names.INDEX_REJECTS)


def _parse_symbol(bucket: dict[str, Any]) -> SymbolStats:
    source = bucket["newest"]["hits"]["hits"][0]["_source"]
    return SymbolStats(
        instrument_of(source["venue"], source["market_type"], source["symbol"]),
        bucket["doc_count"],
        source["price"],
        source["prediction_state"],
        source["probability"],
    )
