"""A batch of the trade query, from Kafka's bytes to documents and counts."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline import names
from tapeline.records import gap, reject
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject
from tapeline.trade import COLUMNS, Stage
from tapeline_spark import metrics

from unit.spark.instruments import TOPICS, values_of_topics
from unit.spark.trade_factories import START_MS, produced, with_field
from unit.spark.trade_query import TradeQuery, in_log

SCORED = [column.name for column in COLUMNS if column.stage is Stage.SCORED]
GAP = Gap(
    venue="bybit", market_type="spot", symbol="BTCUSDT", reason="stall", detected_at=START_MS,
    from_traded_at=START_MS - 9, from_trade_id="a", to_traded_at=START_MS, to_trade_id="b", backfilled=0,
)  # fmt: skip
REJECT = Reject.from_bytes("producer", "not JSON", b"{", START_MS)
VALUES = {
    names.TOPIC_TRADES: produced(),
    names.TOPIC_GAPS: GAP.model_dump_json().encode(),
    names.TOPIC_REJECTS: REJECT.model_dump_json().encode(),
}
DOCUMENT_FIELDS = {*SCORED, "@timestamp", *gap.MAPPING["properties"], *reject.MAPPING["properties"], "liquidation"}
UNKNOWN = [
    (topic, name) for topic, value in VALUES.items() for name in sorted(DOCUMENT_FIELDS - json.loads(value).keys())
]


def documents_of(topic, value, folder, patch):
    query = TradeQuery(folder, (), patch)
    report = query.processor.run(in_log(topic, [value]))
    return query.documents(), report.counts


@pytest.mark.parametrize(("topic", "name"), UNKNOWN)
@pytest.mark.parametrize("content", [0.99, {"nested": [1, "\n"]}])
def test_a_field_that_we_do_not_know_reaches_no_document_of_any_topic(topic, name, content, tmp_path, monkeypatch):
    value = VALUES[topic]
    expected, _ = documents_of(topic, value, tmp_path, monkeypatch)
    found, counts = documents_of(topic, with_field(value, name, content), tmp_path, monkeypatch)
    assert len(expected) == 1
    assert found == expected
    assert counts.reencoded == (topic == names.TOPIC_TRADES)


def test_a_gap_or_reject_nested_too_deep_is_a_reject_and_does_not_stop_the_stream(tmp_path, monkeypatch):
    for topic in (names.TOPIC_GAPS, names.TOPIC_REJECTS):
        nested = VALUES[topic][:-1] + b',"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        found, _ = documents_of(topic, nested, tmp_path, monkeypatch)
        assert [key.partition("/")[0] for key in found] == [names.INDEX_REJECTS]


def test_records_encoded_anew_are_counted_once_each_whatever_becomes_of_them(tmp_path, monkeypatch):
    trade = with_field(produced(), "probability", 1)
    query = TradeQuery(tmp_path, (), monkeypatch)
    report = query.processor.run(in_log(names.TOPIC_TRADES, [trade, trade, produced(), b"{", None]))
    assert (report.counts.reencoded, report.counts.duplicate, report.counts.unreadable) == (2, 1, 2)
    name = "tapeline_stream_reencoded_records_total"
    before = metrics.REGISTRY.get_sample_value(name)
    metrics.count(report.counts)
    assert metrics.REGISTRY.get_sample_value(name) == before + 2


TWO_VENUES = {topic: in_log(topic, values) for topic, values in values_of_topics(230).items()}
ALL_ROWS = [row for rows in TWO_VENUES.values() for row in rows]


def query_of_two_venues(folder, patch, **settings):
    return TradeQuery(Path(folder), ALL_ROWS, patch, topics_trades=tuple(TOPICS.values()), **settings)


def documents_alone(folder, patch):
    """Documents of each instrument when its records are the whole log."""
    found = {}
    for number, (topic, market_type) in enumerate((t, m) for t in TWO_VENUES for m in ("spot", "linear")):
        rows = [row for row in TWO_VENUES[topic] if f'"{market_type}"'.encode() in row[3]]
        query = query_of_two_venues(folder, patch, scope=f"alone-{number}")
        query.processor.run([(topic, 0, offset, row[3]) for offset, row in enumerate(rows)])
        found |= query.documents()
    return found


SIZES = st.sampled_from([60, 0, 1, 200])
STEPS = st.lists(st.tuples(SIZES, SIZES, st.booleans(), st.booleans()), max_size=6)


@settings(max_examples=10, deadline=None)
@given(STEPS, st.sampled_from([0.0, 3_600.0]))
def test_two_venues_in_one_query_make_the_documents_of_each_one_alone(steps, snapshot_interval_s):
    """However the topics are cut into batches, whenever the process ends, and if a batch comes twice."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        expected = documents_alone(folder, patch)
        query = query_of_two_venues(folder, patch, snapshot_interval_s=snapshot_interval_s, bulk_documents=100)
        waiting = {topic: list(rows) for topic, rows in TWO_VENUES.items()}
        for *sizes, is_restarted, is_repeated in [*steps, (500, 500, False, False)]:
            rows = [row for topic, size in zip(TWO_VENUES, sizes, strict=True) for row in waiting[topic][:size]]
            query.processor.run(rows)
            if is_restarted:
                query.restart()
            if is_repeated:
                query.processor.run(rows)
            waiting = {topic: waiting[topic][size:] for topic, size in zip(TWO_VENUES, sizes, strict=True)}
        assert query.documents() == expected
        assert any(b'"prediction_state":"ok"' in source for source in expected.values())


@pytest.mark.parametrize("first", [(60, 1), (1, 60), (60, 60)])
def test_positions_of_equal_partition_numbers_are_not_mixed(tmp_path, monkeypatch, first):
    """Nothing is read again while the process lives; after its end, the batch since the snapshot is."""
    query = query_of_two_venues(tmp_path, monkeypatch, snapshot_interval_s=0.0)
    done = dict.fromkeys(TWO_VENUES, 0)
    for sizes in (first, (0, 200), (60, 0), (60, 60)):
        following = {topic: done[topic] + size for topic, size in zip(TWO_VENUES, sizes, strict=True)}
        query.processor.run([row for topic, rows in TWO_VENUES.items() for row in rows[done[topic] : following[topic]]])
        done = following
    assert query.processor.replayed == 0
    query.restart()
    query.processor.run([TWO_VENUES[topic][offset] for topic, offset in done.items()])
    assert query.processor.replayed == 120


def test_each_operation_names_the_topic_of_its_own_record(tmp_path, monkeypatch):
    query = query_of_two_venues(tmp_path, monkeypatch)
    query.processor.run([(topic, 0, 0, value) for topic in TOPICS.values() for value in (b"{",)])
    documents = [json.loads(source) for source in query.documents().values()]
    assert [(one["topic"], one["partition"], one["offset"]) for one in documents] == [
        (t, 0, 0) for t in TOPICS.values()
    ]
    query.processor.run([(topic, 0, 1, rows[1][3]) for topic, rows in TWO_VENUES.items()])
    trades = [one for one in query.sink.operations if one.index.startswith(names.INDEX_TRADES_PREFIX)]
    assert [(one.topic, one.partition, one.offset) for one in trades] == [(topic, 0, 1) for topic in TWO_VENUES]
