import json

from tapeline import names
from tapeline.records import alert as alerts
from tapeline_spark.alerts.publisher import operation, record

from unit.spark.alerts.test_rules import BELOW, DIGEST, GAP, rules, sums

FOUND = rules.feed_gap(rules.FeedGap(name="gap", kind="feed_gap"), GAP)
ALERT = FOUND.alert(GAP.detected_at) if FOUND else None


def test_the_document_has_the_alerts_id_and_no_field_that_the_mapping_does_not_know():
    created = operation(ALERT)
    assert (created.index, created.identity, created.kind) == (names.INDEX_ALERTS, ALERT.alert_id, "create")
    source = json.loads(created.source)
    assert set(source) <= set(alerts.MAPPING["properties"])
    assert source["@timestamp"] == ALERT.began_at


def test_what_kafka_holds_is_read_back_as_the_same_alert():
    key, value = record(ALERT)
    assert (key, alerts.Alert.model_validate_json(value)) == (b"BTCUSDT", ALERT)


def test_without_a_symbol_the_rule_is_the_key():
    found = rules.below_prior(BELOW, "bybit", DIGEST, GAP.from_traded_at, sums(100, 0.3, 0.2), None)
    assert record(found.alert(GAP.detected_at))[0] == b"below"
