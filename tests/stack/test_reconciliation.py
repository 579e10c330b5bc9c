"""The reconciler and the score evaluator against a real Elasticsearch: documents stored, deleted, late, and many."""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch, NotFoundError
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline.records import reconciliation, score
from tapeline_spark.candles.listener import Candle, CandleListener, Changes, LogClock, LogRow
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong
from tapeline_spark.evaluation.evaluated_minutes import RECOUNT_MS
from tapeline_spark.evaluation.evaluator import ScoreEvaluator
from tapeline_spark.reconciliation.reconciler import Reconciler
from tapeline_spark.settings import BootstrapSettings
from unit.spark.change_factories import reported

MINUTE_MS = 60_000
START = 1_790_000_040_000
NOW = 1_790_000_200_000
LATE_MINUTES = 30
MODEL = "sha256:" + "a" * 64


class Bench:
    """Reconciler and score evaluator of one made-up symbol, and its trades in Elasticsearch."""

    def __init__(self, url: str) -> None:
        self.client = Elasticsearch(url, request_timeout=60)
        self.symbol = f"T{uuid.uuid4().hex[:10].upper()}"
        self.instrument = instrument_of("bybit", "spot", self.symbol)
        self.sink = ElasticSink(BootstrapSettings(elasticsearch_url=url), 30, 500, lambda reason: None)
        self.sink.prepare(0, "1s")
        self.listeners = self.new_listeners(self.sink)
        self.ids = 0

    def new_listeners(self, sink: ElasticSink) -> Sequence[CandleListener]:
        return Reconciler(sink, LATE_MINUTES, recount_s=60), ScoreEvaluator(sink, LATE_MINUTES)

    def snapshot(self) -> list[bytes]:
        return [listener.snapshot() for listener in self.listeners]

    def restore(self, states: Sequence[bytes]) -> None:
        for listener, state in zip(self.listeners, states, strict=True):
            listener.restore(state)

    def after_batch(self, changes: Changes) -> None:
        for listener in self.listeners:
            listener.after_batch(changes)

    def tick(self, now_ms: int) -> None:
        for listener in self.listeners:
            listener.tick(now_ms)

    def store(self, at_ms: int, price: str, probability: float | None = None, **changes: Any) -> str:
        """Index a trade, findable at once, and return its document id."""
        (identity,) = self.store_many([self.trade(at_ms, price, probability, **changes)])
        return identity

    def trade(self, at_ms: int, price: str, probability: float | None = None, **changes: Any) -> dict[str, Any]:
        self.ids += 1
        said = {
            "probability": probability,
            "prediction": None if probability is None else int(probability >= 0.5),
            "prediction_state": "warming_up" if probability is None else "ok",
            "model_digest": None if probability is None else MODEL,
        }
        return {
            "@timestamp": at_ms, "venue": "bybit", "market_type": "spot", "symbol": self.symbol,
            "trade_id": f"t{self.ids}", "traded_at": at_ms, "price": price, "quantity": "1",
            "quantity_unit": "base", "base_quantity": "1", "side": "Buy",
            "sequence": self.ids, "frame_index": 0, "received_at": at_ms, "produced_at": at_ms, "source": "stream",
            "is_buy": True, "indexed_at": at_ms, "feature_version": "1", **said, **changes,
        }  # fmt: skip

    def store_many(self, trades: list[dict[str, Any]]) -> list[str]:
        lines: list[dict[str, Any]] = []
        identities = []
        for one in trades:
            identities.append(names.identity("bybit", "spot", self.symbol, one["trade_id"]))
            lines += [{"create": {"_index": names.index_for_trade(one["traded_at"]), "_id": identities[-1]}}, one]
        answer = self.client.bulk(operations=lines, refresh=True)
        assert not answer["errors"]
        return identities

    def delete(self, identity: str) -> None:
        self.client.delete(index=names.index_for_trade(START), id=identity, refresh=True)

    def apply(
        self, trades: dict[int, int], newest_ms: int, *rows: LogRow, missed: dict[int, int] | None = None
    ) -> None:
        """Send the listeners candles: number of trades by start of the minute."""
        candles = {minute: self.candle(minute, number) for minute, number in trades.items()}
        self.after_batch(
            Changes(
                {"bybit": LogClock(newest_ms, True)},
                {self.instrument: candles},
                {self.instrument: missed or {}},
                {},
                producer_records=reported(rows),
                unreadable=(),
            )
        )

    def candle(self, minute_ms: int, trades: int) -> Candle:
        return Candle(minute_ms, 1, 1, 1, 1, 1, 1, 1, 1, trades, 0, 0, trades, not trades, True, 5)

    def reconciliation_document(self, minute_ms: int = START) -> dict[str, Any]:
        index = names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms)
        identity = reconciliation.identity(self.instrument, minute_ms)
        return dict(self.client.get(index=index, id=identity)["_source"])

    def score(self, minute_ms: int = START) -> dict[str, Any]:
        index = names.monthly_index(names.INDEX_SCORES_PREFIX, minute_ms)
        return dict(self.client.get(index=index, id=score.identity(self.instrument, minute_ms, MODEL))["_source"])

    def gap(self, from_ms: int, to_ms: int) -> LogRow:
        ends = {"from_traded_at": from_ms, "from_trade_id": "a", "to_traded_at": to_ms, "to_trade_id": "b"}
        what = {"venue": "bybit", "market_type": "spot", "symbol": self.symbol, "reason": "restart", "backfilled": 0}
        value = json.dumps({**what, **ends, "detected_at": to_ms}).encode()
        return LogRow(names.TOPIC_GAPS, 0, 0, self.symbol, value, to_ms)


@pytest.fixture
def bench(elasticsearch_url: str) -> Bench:
    return Bench(elasticsearch_url)


def over(minutes: int = 1) -> int:
    """Return a time of the log at which so many minutes are over."""
    return START + minutes * MINUTE_MS + 10_000


def test_minute_is_open_then_complete_and_incomplete_once_a_document_is_deleted_by_hand(bench: Bench) -> None:
    identities = [bench.store(START + n, "1.5") for n in range(3)]
    bench.apply({START: 3}, START + 30_000)
    bench.tick(NOW)
    assert (bench.reconciliation_document()["state"], bench.reconciliation_document()["indexed"]) == ("open", 3)
    bench.store(over(), "1.5")
    bench.apply({}, over())
    bench.tick(NOW + 1_000)
    assert bench.reconciliation_document()["state"] == "complete"

    bench.delete(identities[1])
    bench.tick(NOW + 60_000)
    assert bench.reconciliation_document()["state"] == "complete", "nobody has looked yet"
    bench.tick(NOW + 61_000)
    assert (bench.reconciliation_document()["state"], bench.reconciliation_document()["indexed"]) == ("open", 2)
    bench.tick(NOW + 91_000)
    assert bench.reconciliation_document()["state"] == "incomplete"

    bench.store_many([{**bench.trade(START + 1, "1.5"), "trade_id": "t2"}])
    bench.tick(NOW + 106_000)
    assert bench.reconciliation_document()["state"] == "complete"


def test_gap_is_written_also_to_a_minute_that_was_dropped_before_it_was_known(bench: Bench) -> None:
    bench.store(START, "1")
    bench.apply({START: 1}, over())
    bench.store(over(), "1")
    bench.tick(NOW)
    assert bench.reconciliation_document()["state"] == "complete"
    bench.apply({}, over(40))
    bench.tick(NOW + 61_000)
    bench.tick(NOW + 62_000)
    before = bench.reconciliation_document()
    bench.apply({}, over(41), bench.gap(START + 5, START + MINUTE_MS + 5))
    bench.tick(NOW + 63_000)
    after = bench.reconciliation_document()
    assert after == {**before, "state": "gap", "gaps": 1, "updated_at": NOW + 63_000}
    assert bench.reconciliation_document(START + MINUTE_MS)["state"] == "gap"


def test_scores_are_written_at_once_and_completed_when_the_answer_comes(bench: Bench) -> None:
    for at_ms, price, said in ((0, "1.0", 0.9), (1, "1.10", 0.2), (2, "1.1", 0.4)):
        bench.store(START + at_ms, price, said)
    bench.apply({START: 3}, over())
    bench.tick(NOW)
    first = bench.score()
    assert (first["predictions"], first["hits"], first["pending"]) == (1, 1, 2)
    bench.store(START + MINUTE_MS, "0.9")
    bench.apply({START + MINUTE_MS: 1}, over(2))
    bench.tick(NOW + 60_000)
    last = bench.score()
    assert (last["predictions"], last["hits"], last["ups"], last["pending"]) == (3, 3, 1, 0)
    assert last["brier_sum"] == pytest.approx(0.1**2 + 0.2**2 + 0.4**2)
    assert last["prior_brier_sum"] == pytest.approx(3 * 0.25)


def test_scores_come_out_the_same_over_a_crash_between_prediction_and_answer(bench: Bench) -> None:
    bench.store(START, "1", 0.9)
    bench.apply({START: 1}, over())
    bench.tick(NOW)
    state = bench.snapshot()
    bench.store(START + MINUTE_MS, "2")
    for _ in range(2):
        bench.listeners = bench.new_listeners(bench.sink)
        bench.restore(state)
        bench.apply({START + MINUTE_MS: 1}, over(2))
        bench.tick(NOW + 60_000)
        assert {name: bench.score()[name] for name in ("predictions", "hits", "pending")} == {
            "predictions": 1,
            "hits": 1,
            "pending": 0,
        }


def test_late_trade_changes_the_score_it_is_the_answer_of(bench: Bench) -> None:
    bench.store(START, "1", 0.9)
    bench.store(START + 2 * MINUTE_MS, "2")
    bench.apply({START: 1, START + MINUTE_MS: 0, START + 2 * MINUTE_MS: 1}, over(3))
    bench.tick(NOW)
    assert (bench.score()["hits"], bench.score()["ups"]) == (1, 1)
    bench.store(START + MINUTE_MS, "0.5", prediction_state="late")
    bench.apply({START + MINUTE_MS: 1}, over(3))
    bench.tick(NOW + 5_000)
    assert (bench.score()["hits"], bench.score()["ups"]) == (0, 0)


def test_trades_of_one_millisecond_are_taken_in_the_exchanges_order(bench: Bench) -> None:
    order = [(None, 0, "1", 0.9), (7, 0, "2", 0.9), (7, 1, "3", 0.9), (8, 0, "2", None)]
    made = [bench.trade(START, price, said, sequence=seq, frame_index=index) for seq, index, price, said in order]
    bench.store_many([made[2], made[0], made[3], made[1]])
    bench.apply({START: 4}, over())
    bench.tick(NOW)
    assert (bench.score()["predictions"], bench.score()["ups"]) == (3, 2)


def test_minute_of_more_documents_than_one_answer_holds_is_read_whole(bench: Bench) -> None:
    many = 12_500
    bench.store_many([bench.trade(START + n, str(1 + n % 2), 0.25) for n in range(many)])
    bench.apply({START: many}, over())
    bench.tick(NOW)
    one = bench.score()
    assert (one["predictions"], one["pending"], one["ups"]) == (many - 1, 1, many // 2)
    assert one["bin_2_predictions"] == many - 1
    assert one["brier_sum"] == pytest.approx(one["ups"] * 0.75**2 + (many - 1 - one["ups"]) * 0.25**2)


@pytest.fixture
def verdicts(bench: Bench) -> Iterator[None]:
    """An index of verdicts of this test alone: the server is shared, and its name is fixed."""
    fields = {"digest": {"type": "keyword"}, "prior": {"type": "double"}}
    bench.client.indices.delete(index=names.INDEX_MODELS, ignore_unavailable=True)
    bench.client.indices.create(index=names.INDEX_MODELS, mappings={"properties": fields})
    yield
    bench.client.indices.delete(index=names.INDEX_MODELS)


@pytest.mark.usefixtures("verdicts")
def test_score_is_held_against_the_prior_that_the_models_verdict_names(bench: Bench) -> None:
    digest = f"sha256:{uuid.uuid4().hex}"
    bench.client.index(index=names.INDEX_MODELS, document={"digest": digest, "prior": 0.3}, refresh=True)
    bench.store(START, "1", 0.9, model_digest=digest)
    bench.store(START + 1, "2")
    bench.apply({START: 2}, over())
    bench.tick(NOW)
    index = names.monthly_index(names.INDEX_SCORES_PREFIX, START)
    found = bench.client.get(index=index, id=score.identity(bench.instrument, START, digest))["_source"]
    assert found["prior_brier_sum"] == pytest.approx(0.7**2)


def test_minute_of_which_the_log_has_lost_the_beginning_is_left_as_it_stands(bench: Bench) -> None:
    for n in range(3):
        bench.store(START + n, "1")
    bench.apply({START: 3}, over())
    bench.store(over(), "1")
    bench.tick(NOW)
    before = bench.reconciliation_document()
    bench.listeners = bench.new_listeners(bench.sink)
    partial = replace(bench.candle(START, 2), history=1)
    bench.after_batch(Changes({"bybit": LogClock(over(), True)}, {bench.instrument: {START: partial}}, {}, {}))
    bench.tick(NOW + 60_000)
    assert bench.reconciliation_document() == before


class Closing(ElasticSink):
    """Elasticsearch that goes away between a question and what was to be written."""

    def write(self, *_: Any) -> Any:
        raise OutageTooLong("Elasticsearch", 1.0, "gone")


def test_tick_that_finds_elasticsearch_away_has_not_happened(bench: Bench, elasticsearch_url: str) -> None:
    bench.store(START, "1", 0.9)
    bench.store(START + 1, "2")
    closing = Closing(BootstrapSettings(elasticsearch_url=elasticsearch_url), 30, 500, lambda reason: None)
    away = ElasticSink(BootstrapSettings(elasticsearch_url="http://127.0.0.1:9"), 0.2, 500, lambda reason: None)
    for sink in (away, closing):
        bench.listeners = bench.new_listeners(sink)
        bench.apply({START: 2}, over())
        before = bench.snapshot()
        bench.tick(NOW)
        assert bench.snapshot() == before
    bench.listeners = bench.new_listeners(bench.sink)
    bench.restore(before)
    bench.tick(NOW + 5_000)
    assert (bench.reconciliation_document()["indexed"], bench.score()["predictions"]) == (2, 1)


def test_minute_that_lacks_a_document_is_scored_once_it_is_there(bench: Bench) -> None:
    bench.store(START, "1", 0.9)
    late = bench.trade(START + 1, "2")
    bench.apply({START: 2}, over())
    bench.tick(NOW)
    bench.store_many([late])
    bench.tick(NOW + 5_000)
    with pytest.raises(NotFoundError):
        bench.score()
    bench.tick(NOW + RECOUNT_MS)
    assert (bench.score()["predictions"], bench.score()["hits"]) == (1, 1)
