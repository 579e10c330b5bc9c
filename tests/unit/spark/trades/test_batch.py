"""A batch of the trade query, from Kafka's bytes to documents and counts."""

import json

import pytest
from tapeline import names
from tapeline.records import gap, reject
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject
from tapeline.trade import COLUMNS, Stage
from tapeline_spark import metrics

from unit.spark.trade_query import TradeQuery, in_log
from unit.spark.trade_factories import START_MS, produced, with_field

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
