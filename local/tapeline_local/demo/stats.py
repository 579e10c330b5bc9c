"""What the demo shows, asked of each part over its own interface; a part that is away leaves a blank."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from confluent_kafka import Consumer, KafkaException, TopicPartition
from elasticsearch import ApiError, Elasticsearch, TransportError
from prometheus_client.parser import text_string_to_metric_families
from tapeline import names

from tapeline_local.demo import readers
from tapeline_local.stack.stack import Addresses

_TIMEOUT_S = 2.0
_SYMBOLS = 8
RECEIVED = "tapeline_trades_received_total"
RECORDS = "tapeline_stream_records_total"


@dataclass(frozen=True)
class SymbolFigures:
    """One symbol's newest trade and what was said of it."""

    market: str
    trades: int
    price: str
    state: str
    probability: float | None


@dataclass
class Figures:
    """One look at the whole stack; None where a part did not answer.

    Attributes:
        exchange: the simulator's own status; None with the real exchange.
        received: trades the producers have read, over their restarts.
        produced: records in the topic of trades.
        repeated: records that Spark has found to be there already, since it was started.
        indexed: documents of trades.
        gaps: gap documents.
        rejected: reject documents.
        by_state: documents by prediction state.
        symbols: the busiest, first the busiest.
        model: /model of the inference service.
    """

    exchange: dict[str, Any] | None = None
    received: int = 0
    produced: int | None = None
    repeated: int = 0
    indexed: int | None = None
    gaps: int | None = None
    rejected: int | None = None
    by_state: dict[str, int] = field(default_factory=dict)
    symbols: list[SymbolFigures] = field(default_factory=list)
    model: dict[str, Any] | None = None

    @property
    def sent(self) -> int | None:
        """Return how many trades the exchange says it sent."""
        return None if self.exchange is None else int(self.exchange["sent"])


class RestartProofCounter:
    """Adds up a counter that begins again at zero whenever its process is restarted."""

    def __init__(self, total: int = 0) -> None:
        """Go on from an earlier total."""
        self.total, self._last = total, 0

    def see(self, value: int) -> int:
        """Take a reading in; return the total over all restarts."""
        self.total += value - self._last if value >= self._last else value
        self._last = value
        return self.total


class Gatherer:
    """Asks every part, one look a call."""

    def __init__(self, addresses: Addresses, received_before: int, with_simulator: bool) -> None:
        """Connect on first use.

        Args:
            addresses: of the running stack.
            received_before: trades the producer read in earlier runs on the same state.
            with_simulator: False with the real exchange.
        """
        self._addresses, self._with_simulator = addresses, with_simulator
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)
        self.elastic = Elasticsearch(addresses.elasticsearch, request_timeout=10, max_retries=0)
        self._received = {address: RestartProofCounter() for address in addresses.producers}
        self._received_before = received_before
        self._consumer = Consumer({"bootstrap.servers": addresses.kafka, "group.id": "tapeline-demo", "log_level": 0})

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._consumer.close()
        self.elastic.close()

    def look(self) -> Figures:
        """Return what every part says now."""
        figures = Figures(exchange=self.exchange(), received=self.received(), produced=self.produced())
        figures.repeated = self._repeated()
        figures.model = self._json(f"{self._addresses.inference}/model")
        try:
            self._search(figures)
        except TransportError:
            figures.indexed = None
        except ApiError as error:
            # While it starts or recovers it answers 503; anything else is a mistake of ours.
            if error.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise
            figures.indexed = None
        return figures

    def exchange(self) -> dict[str, Any] | None:
        """Return the simulator's status."""
        return self._json(f"{self._addresses.simulator}/simulator/status") if self._with_simulator else None

    def pause_exchange(self) -> None:
        """Let the simulator generate no more trades; its sockets stay open.

        Raises:
            httpx.HTTPError: it did not answer.
        """
        self._http.post(f"{self._addresses.simulator}/simulator/pause").raise_for_status()

    def resume_exchange(self) -> None:
        """Let the simulator go on."""
        self._http.post(f"{self._addresses.simulator}/simulator/resume").raise_for_status()

    def produced(self) -> int | None:
        """Return how many records the topic of trades was given since it was made."""
        try:
            topic = self._consumer.list_topics(names.TOPIC_TRADES, timeout=_TIMEOUT_S).topics[names.TOPIC_TRADES]
            ends = (
                self._consumer.get_watermark_offsets(TopicPartition(names.TOPIC_TRADES, number), _TIMEOUT_S)
                for number in topic.partitions
            )
            return sum(high for _, high in ends)
        except (KafkaException, TypeError):
            return None

    def received(self) -> int:
        """Return how many trades the producers have read, of earlier lives too."""
        for address, counter in self._received.items():
            total = sum(value for _, value in self._samples(f"{address}/metrics", RECEIVED))
            if total:
                counter.see(int(total))
        return self._received_before + sum(counter.total for counter in self._received.values())

    def _repeated(self) -> int:
        if len(self._received) == 1:
            return 0
        found = self._samples(f"{self._addresses.spark}/metrics", RECORDS)
        return int(sum(value for labels, value in found if labels.get("outcome") in ("duplicate", "conflict")))

    def _samples(self, address: str, wanted: str) -> Iterator[tuple[dict[str, str], float]]:
        try:
            text = self._http.get(address).text
        except httpx.HTTPError:
            return
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == wanted:
                    yield sample.labels, sample.value

    def _json(self, address: str) -> dict[str, Any] | None:
        try:
            answer = self._http.get(address)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == httpx.codes.OK else None

    def _search(self, figures: Figures) -> None:
        trades = f"{names.INDEX_TRADES_PREFIX}*"
        newest = {"size": 1, "sort": [{"@timestamp": "desc"}, {"sequence": "desc"}, {"frame_index": "desc"}]}
        per_symbol = {
            "terms": {"field": "symbol", "size": _SYMBOLS},
            "aggs": {"newest": {"top_hits": newest}},
        }
        per_market_type = {"terms": {"field": "market_type"}, "aggs": {"symbols": per_symbol}}
        answer = self.elastic.search(
            index=trades,
            size=0,
            track_total_hits=True,
            aggs={"states": {"terms": {"field": "prediction_state"}}, "market_types": per_market_type},
            allow_no_indices=True,
            ignore_unavailable=True,
        )
        figures.indexed = answer["hits"]["total"]["value"]
        found = answer.body.get("aggregations")
        if found:
            figures.by_state = {b["key"]: b["doc_count"] for b in found["states"]["buckets"]}
            found = [_symbol(c["key"], s) for c in found["market_types"]["buckets"] for s in c["symbols"]["buckets"]]
            figures.symbols = sorted(found, key=lambda row: -row.trades)[:_SYMBOLS]
        figures.gaps = readers.count(self.elastic, names.INDEX_GAPS)
        figures.rejected = readers.count(self.elastic, names.INDEX_REJECTS)


def _symbol(market_type: str, bucket: dict[str, Any]) -> SymbolFigures:
    source = bucket["newest"]["hits"]["hits"][0]["_source"]
    return SymbolFigures(
        f"{market_type} {bucket['key']}",
        bucket["doc_count"],
        source["price"],
        source["prediction_state"],
        source["probability"],
    )
