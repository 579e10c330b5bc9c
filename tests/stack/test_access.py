"""Every client of ours against a Kafka and an Elasticsearch that demand TLS, a password and rights."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from elasticsearch import AuthorizationException, Elasticsearch
from pydantic import BaseModel
from support import aeventually, eventually
from tapeline import names
from tapeline.enums import MarketType, PredictionState
from tapeline.instrument import Instrument
from tapeline.records.alert import Alert
from tapeline.service.clock import now_ms as clock_ms
from tapeline.service.connection import ElasticsearchConnection, KafkaConnection
from tapeline.trade import instrument_of
from tapeline_local.demo import readers
from tapeline_local.demo.reconcile import ReconciliationReport, reconcile
from tapeline_local.stack.stack import Stack
from tapeline_notifier.consumer import AlertConsumer, ConsumedRecord
from tapeline_notifier.errors import KafkaUnreachable as NotifierKafkaUnreachable
from tapeline_notifier.settings import Settings as NotifierSettings
from tapeline_producer.errors import KafkaUnreachableError
from tapeline_producer.gaps import log_tail
from tapeline_producer.kafka.trade_writer import TradeWriter
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings as ProducerSettings
from tapeline_spark.alerts.model_queries import ModelQueries
from tapeline_spark.alerts.publisher import AlertPublisher, KafkaAlertSink
from tapeline_spark.candles.documents import candle_operation, missed_operation
from tapeline_spark.candles.listener import CandleListener, Changes, LogClock
from tapeline_spark.elastic.documents import Operation, PredictionResult, trade_operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong, TemplateUnusable, WriteRefused
from tapeline_spark.evaluation.evaluator import ScoreEvaluator
from tapeline_spark.kafka import wait_for_topics
from tapeline_spark.reconciliation.reconciler import Reconciler
from tapeline_spark.settings import BootstrapSettings
from tapeline_trainer.data import export
from tapeline_trainer.data.elasticsearch import Store
from tapeline_trainer.settings import Settings as TrainerSettings
from unit.notifier import factories as notified
from unit.producer import factories as producer_factories
from unit.spark import change_factories
from unit.spark.candles.log_factories import market, read_log
from unit.spark.trade_factories import record
from unit.trainer import factories

from stack import rights
from stack.assertions import read_if_available
from stack.boards import Board
from stack.fast import fast_options, new_state
from stack.models import promote_prior
from stack.secured import Authority, Secured

OPTIONS = fast_options()
TOPICS = (names.TOPIC_TRADES, names.TOPIC_GAPS, names.TOPIC_REJECTS, names.TOPIC_COUNTS)
# Of a trade that the simulator did not make.
RESUMED = "RESUMEUSDT"
TRADES = f"{names.INDEX_TRADES_PREFIX}*"


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with Secured(new_state(), OPTIONS) as servers:
        yield servers


def environment(prefix: str, *accesses: BaseModel) -> dict[str, str]:
    fields = {name: value for access in accesses for name, value in access.model_dump(mode="json").items()}
    return {f"{prefix}{name}".upper(): str(value) for name, value in fields.items()}


def bootstrap(secured: Secured, user: str = "tapeline-es-bootstrap", **more: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | environment("STREAM_", secured.elastic(user)) | more
    command = [sys.executable, "-W", "error", "-m", "tapeline_spark.elastic.bootstrap"]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=120)


def sink(access: ElasticsearchConnection) -> ElasticSink:
    return ElasticSink(access, 1.0, 100, lambda reason: None)


def client(secured: Secured, user: str) -> Elasticsearch:
    access = secured.elastic(user)
    return Elasticsearch(access.elasticsearch_url, **access.client_options())


def operation() -> Operation:
    return trade_operation(record(), PredictionResult(PredictionState.WARMING_UP), factories.START_MS)


@pytest.fixture
def archive(secured: Secured) -> Iterator[Elasticsearch]:
    """An administrator's client to an Elasticsearch with its templates, empty again after the test."""
    settings = BootstrapSettings(**secured.elastic("tapeline-es-bootstrap").model_dump())
    sink(settings).prepare(settings.replicas, settings.refresh_interval, settings.retention_days)
    with secured.elastic_admin() as admin:
        yield admin
        derived = (names.INDEX_CANDLES_PREFIX, names.INDEX_SCORES_PREFIX, names.INDEX_RECONCILIATION_PREFIX)
        for index in (TRADES, *(f"{prefix}*" for prefix in derived), names.INDEX_GAPS, names.INDEX_MODELS):
            found = list(admin.indices.get(index=index, ignore_unavailable=True).body)
            if found:
                admin.indices.delete(index=found)


# Kafka


def refusal(access: KafkaConnection) -> str:
    """Return the first reason why the stream waits for its topics, empty where it waits for nothing."""
    stopping, reasons = threading.Event(), []

    def tell(reason: str) -> None:
        reasons.append(reason)
        stopping.set()

    return "" if wait_for_topics.wait_for(access, TOPICS, stopping, tell) else reasons[0]


def is_refused(access: KafkaConnection, reason: str) -> None:
    """Wait until a reason is given: users and rights reach the broker a moment after the answer that they are made."""
    eventually(lambda: reason in refusal(access), reason)


def test_stream_finds_its_topics_with_user_password_and_authority(secured: Secured) -> None:
    access = secured.kafka("tapeline-spark")
    eventually(lambda: refusal(access) == "", "the topics are there")


def test_wrong_password_is_named_as_the_reason(secured: Secured, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    is_refused(secured.kafka("tapeline-spark", kafka_password_file=wrong), "Authentication failed")


def test_plain_connection_is_refused_and_the_protocol_named(secured: Secured) -> None:
    plain = KafkaConnection(kafka_bootstrap=secured.kafka("tapeline-spark").kafka_bootstrap)
    is_refused(plain, "does not respond over PLAINTEXT")


def test_broker_of_another_authority_is_not_believed(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path).file
    is_refused(secured.kafka("tapeline-spark", kafka_ca_file=other), "certificate verify failed")


def test_user_without_rights_sees_no_topic(secured: Secured) -> None:
    secured.set_kafka_password("stranger")
    is_refused(secured.kafka("stranger"), f"no topic {', '.join(TOPICS)}")


async def test_producer_publishes_what_a_later_one_resumes_from(secured: Secured) -> None:
    settings = ProducerSettings(**secured.kafka("tapeline-producer").model_dump())
    writer = TradeWriter(settings, Metrics(), clock_ms)
    await asyncio.to_thread(writer.check_topics)
    resumed = Instrument("bybit", MarketType.SPOT, RESUMED)
    writer.write_trades(resumed, [producer_factories.trade(1, symbol=RESUMED)])
    assert await writer.close(20) == 0
    tail = await asyncio.to_thread(log_tail.read_tail, settings, [resumed], lambda: False)
    last = tail.trackers.get_or_create(resumed).last
    assert last is not None and last.trade_id == "t1"


async def test_producer_with_a_wrong_password_says_so_and_goes_on_when_its_file_is_right(
    secured: Secured, tmp_path: Path
) -> None:
    """A password is changed at the broker and in the file at different times, in a running pod too."""
    file = tmp_path / "password"
    file.write_text("of yesterday")
    access = secured.kafka("tapeline-producer", kafka_password_file=file)
    writer = TradeWriter(ProducerSettings(**access.model_dump()), Metrics(), clock_ms)

    async def complaint() -> str:
        try:
            await asyncio.to_thread(writer.check_topics)
        except KafkaUnreachableError as error:
            return str(error)
        return ""

    async def is_refused() -> bool:
        return "Authentication failed" in await complaint()

    async def is_well() -> bool:
        return await complaint() == ""

    await aeventually(is_refused, "the refusal is named")
    file.write_text(secured.passwords["tapeline-producer"])
    await aeventually(is_well, "the new password is taken")
    assert await writer.close(5) == 0


def written(secured: Secured, user: str, topic: str, idempotent: bool = True) -> KafkaError | None:
    """Return what became of one record."""
    outcome: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        outcome.append(error)

    options = {"enable.idempotence": idempotent, "acks": "all", "log_level": 0}
    producer = Producer({**secured.kafka(user).librdkafka(), **options})
    producer.produce(topic, b"{}", on_delivery=delivered)
    producer.flush(30)
    return outcome[0]


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("tapeline-spark", names.TOPIC_TRADES),
        ("tapeline-spark", names.TOPIC_REJECTS),
        ("tapeline-spark", names.TOPIC_COUNTS),
        ("tapeline-producer", names.TOPIC_ALERTS),
        ("tapeline-notifier", names.TOPIC_ALERTS),
    ],
)
def test_reader_may_not_write(secured: Secured, user: str, topic: str) -> None:
    # Who may write nowhere does not even get the number that an idempotent producer needs.
    error = written(secured, user, topic, idempotent=False)
    assert error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_counts_and_alerts_are_written_by_those_whose_they_are(secured: Secured) -> None:
    assert written(secured, "tapeline-producer", names.TOPIC_COUNTS) is None
    assert written(secured, "tapeline-spark", names.TOPIC_ALERTS) is None


def read_by(secured: Secured, user: str, group: str, topic: str) -> Message:
    """Return the first thing a member of a group hears of a topic."""
    access = secured.kafka(user).librdkafka()
    consumer = Consumer({**access, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0})
    consumer.subscribe([topic])
    try:
        return eventually(lambda: consumer.poll(1.0), "an answer")
    finally:
        consumer.close()


def test_notifier_reads_alerts_in_its_group_and_nothing_else(secured: Secured) -> None:
    assert written(secured, "tapeline-spark", names.TOPIC_ALERTS) is None
    assert read_by(secured, "tapeline-notifier", names.GROUP_NOTIFIER, names.TOPIC_ALERTS).error() is None
    for group, topic in ((names.GROUP_NOTIFIER, names.TOPIC_TRADES), ("another", names.TOPIC_ALERTS)):
        error = read_by(secured, "tapeline-notifier", group, topic).error()
        assert error is not None
        assert error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


def test_alerts_are_raised_with_the_streams_rights_and_read_with_the_notifiers(
    secured: Secured, archive: Elasticsearch, tmp_path: Path
) -> None:
    writer = sink(secured.elastic("tapeline-es-writer"))
    publisher = AlertPublisher(writer, KafkaAlertSink(secured.kafka("tapeline-spark"), names.TOPIC_ALERTS, 20.0))
    raised, other = notified.alert(1), notified.alert(2)
    # As after a crash: the document stands already, and the record comes again.
    publisher.publish([raised], [raised])
    publisher.publish([raised], [raised])
    assert ModelQueries(writer, "http://127.0.0.1:1").score_sums("bybit", 0, clock_ms()) == {}
    assert archive.get(index=names.INDEX_ALERTS, id=raised.alert_id)["_source"]["symbol"] == "SYM1USDT"
    access = secured.kafka("tapeline-notifier").model_dump()
    settings = NotifierSettings(targets=tmp_path, state=tmp_path, **access)

    def consumer() -> AlertConsumer:
        reader = AlertConsumer(settings)
        reader.check()
        return reader

    first = consumer()
    read: list[ConsumedRecord] = []

    def copies(wanted: Alert) -> int:
        return [record.value for record in read].count(wanted.model_dump_json().encode())

    eventually(lambda: read.extend(first.read()) or copies(raised) == 2, "both records are read")
    first.commit({record.partition: record.offset + 1 for record in read})
    first.close()
    publisher.publish([other], [other])
    second = consumer()
    read.clear()
    eventually(lambda: read.extend(second.read()) or copies(other) == 1, "what came since is read")
    assert copies(raised) == 0
    second.close()
    archive.indices.delete(index=names.INDEX_ALERTS)


def test_notifier_that_may_not_read_its_offsets_says_so_and_reads_once_it_may(secured: Secured, tmp_path: Path) -> None:
    assert written(secured, "tapeline-spark", names.TOPIC_ALERTS) is None
    group = f"notifier-{uuid.uuid4().hex[:8]}"
    access = secured.kafka("tapeline-notifier").model_dump()
    consumer = AlertConsumer(NotifierSettings(targets=tmp_path, state=tmp_path, group=group, **access))

    def reason() -> str:
        with pytest.raises(NotifierKafkaUnreachable) as raised:
            consumer.check()
        assert consumer.read() == []
        return str(raised.value)

    eventually(lambda: "Group authorization failed" in reason(), "the notifier names the missing right", 60)
    allowed = {"resource": {"type": "group", "name": group, "patternType": "literal"}, "operations": ["Read"]}
    admin = secured.kafka_admin()
    for result in admin.create_acls(list(rights.bindings("tapeline-notifier", [allowed]))).values():
        result.result(30)

    def is_assigned() -> bool:
        with contextlib.suppress(NotifierKafkaUnreachable):
            consumer.check()
            return True
        return False

    eventually(is_assigned, "the offsets are read")
    eventually(consumer.read, "the alerts are read")
    consumer.close()


def test_producer_may_not_read_the_other_topics(secured: Secured) -> None:
    access = secured.kafka("tapeline-producer").librdkafka()
    consumer = Consumer({**access, "group.id": names.GROUP_RESUME, "log_level": 0})
    consumer.assign([TopicPartition(names.TOPIC_REJECTS, 0, 0)])
    message = eventually(lambda: consumer.poll(1.0), "an answer")
    consumer.close()
    error = message.error()
    assert error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


# Elasticsearch


def test_stream_begins_only_after_its_templates_are_in_place(secured: Secured) -> None:
    writer = sink(secured.elastic("tapeline-es-writer"))
    with secured.elastic_admin() as admin:
        admin.options(ignore_status=404).indices.delete_index_template(name="tapeline-*")
        with pytest.raises(TemplateUnusable, match=r"tapeline-trades was missing.*tapeline_spark\.elastic\.bootstrap"):
            writer.check_prepared()
        assert bootstrap(secured).returncode == 0
        writer.check_prepared()
        template = {"mappings": {"dynamic": "strict", "properties": {"@timestamp": {"type": "date"}}}}
        admin.indices.put_index_template(name=names.INDEX_GAPS, index_patterns=[names.INDEX_GAPS], template=template)
        with pytest.raises(TemplateUnusable, match=r"tapeline-gaps was another one \(differs in @timestamp, venue"):
            writer.check_prepared()


@pytest.mark.parametrize(
    ("user", "more", "reason"),
    [
        ("tapeline-es-writer", {}, "403"),
        ("tapeline-es-bootstrap", {"STREAM_RETENTION_DAYS": "14"}, "_ilm/policy/tapeline-trades"),
        ("tapeline-es-bootstrap", {"STREAM_ELASTICSEARCH_PASSWORD_FILE": "/nowhere"}, "PASSWORD_FILE was /nowhere"),
    ],
    ids=["without the right", "without lifecycle management", "without its password"],
)
def test_bootstrap_that_cannot_do_its_work_ends_with_1_and_the_reason(
    secured: Secured, user: str, more: dict[str, str], reason: str
) -> None:
    done = bootstrap(secured, user, **more)
    assert done.returncode == 1, done.stdout + done.stderr
    assert reason in done.stdout.splitlines()[-1]


def test_index_of_an_older_release_is_given_the_fields_it_lacks_and_nothing_else_of_it_is_touched(
    secured: Secured, archive: Elasticsearch
) -> None:
    now = operation()
    archive.indices.create(index=now.index)
    (younger,) = archive.indices.get_mapping(index=now.index).body.values()
    archive.indices.delete(index=now.index)
    older = dict(younger["mappings"]["properties"])
    del older["delay_ms"], older["own_ms"]
    archive.indices.delete_index_template(name="tapeline-trades")
    archive.indices.create(index=now.index, mappings={"dynamic": "strict", "properties": older})
    writer = sink(secured.elastic("tapeline-es-writer"))
    assert "delay_ms" in writer.write([now], clock_ms).unfit[0][1]
    assert bootstrap(secured).returncode == 0
    (mended,) = archive.indices.get_mapping(index=now.index).body.values()
    assert mended == younger
    assert writer.write([now], clock_ms).created == 1
    with client(secured, "tapeline-es-bootstrap") as thief:
        for crime in (
            lambda: thief.indices.delete(index=now.index),
            lambda: thief.search(index=now.index),
            lambda: thief.create(index=now.index, id="1", document={}),
        ):
            with pytest.raises(AuthorizationException):
                crime()


def test_index_with_a_field_of_another_type_ends_the_bootstrap_with_its_name(
    secured: Secured, archive: Elasticsearch
) -> None:
    properties = {"@timestamp": {"type": "date"}, "delay_ms": {"type": "keyword"}}
    archive.indices.delete_index_template(name="tapeline-trades")
    archive.indices.create(index=operation().index, mappings={"dynamic": "strict", "properties": properties})
    done = bootstrap(secured)
    assert done.returncode == 1
    assert "delay_ms" in done.stdout.splitlines()[-1]


def test_writer_creates_once_and_can_neither_change_nor_remove(secured: Secured, archive: Elasticsearch) -> None:
    trade = operation()
    writer = sink(secured.elastic("tapeline-es-writer"))
    first, again = writer.write([trade], clock_ms), writer.write([trade], clock_ms)
    assert (first.created, again.created, again.conflict) == (1, 0, 1)
    with client(secured, "tapeline-es-writer") as thief:
        for crime in (
            lambda: thief.index(index=trade.index, id=trade.identity, document={}),
            lambda: thief.update(index=trade.index, id=trade.identity, doc={"price": "1"}),
            lambda: thief.delete(index=trade.index, id=trade.identity),
            lambda: thief.indices.delete(index=trade.index),
            lambda: thief.index(index=names.INDEX_ALERTS, id="1", document={}),
            lambda: thief.get(index=names.INDEX_REJECTS, id="1"),
            lambda: thief.create(index=names.INDEX_MODELS, id="1", document={}),
            lambda: thief.indices.put_index_template(name="tapeline-trades", index_patterns=["x"]),
        ):
            with pytest.raises(AuthorizationException):
                crime()


def test_reconciliation_and_scores_need_only_the_writers_rights(secured: Secured, archive: Elasticsearch) -> None:
    writer = sink(secured.elastic("tapeline-es-writer"))
    made_trade = record()
    said = PredictionResult(PredictionState.OK, 0.5, 1, "sha256:a")
    writer.write([trade_operation(made_trade, said, factories.START_MS)], clock_ms)
    archive.indices.refresh(index=TRADES)
    trade = made_trade.trade
    minute = trade.traded_at - trade.traded_at % 60_000
    listeners: list[CandleListener] = [Reconciler(writer, 30, 60), ScoreEvaluator(writer, 30)]
    # One minute that is over, and a gap in one that was closed long before.
    gap = change_factories.gap_row(minute - 7_200_000, minute - 7_199_000)
    candles = {instrument_of(trade): {minute: change_factories.candle(minute, 1)}}
    changes = Changes({"bybit": LogClock(minute + 90_000, True)}, candles, {}, {}, change_factories.reported([gap]))
    for listener in listeners:
        listener.after_batch(changes)
        for later_ms in (0, 5_000):
            listener.tick(clock_ms() + later_ms)
    archive.indices.refresh(index="tapeline-*")
    found = archive.search(index="tapeline-reconciliation-*,tapeline-scores-*", size=100)["hits"]["hits"]
    assert {hit["_index"].rpartition("-")[0] for hit in found} == {"tapeline-reconciliation", "tapeline-scores"}


def test_writer_writes_over_what_is_made_of_trades_and_cannot_remove_it(
    secured: Secured, archive: Elasticsearch
) -> None:
    items = sorted(read_log(market(1, 3, 5)).items())
    operations = [candle_operation(key, item, factories.START_MS) for (key, _), item in items]
    changed = missed_operation(items[0][0][0], items[0][0][1], 3, factories.START_MS)
    writer = sink(secured.elastic("tapeline-es-writer"))
    for part in (operations, operations, [changed]):
        outcome = writer.write(part, clock_ms)
        assert (outcome.created, outcome.conflict) == (len(part), 0)
    index, identity = operations[0].index, operations[0].identity
    assert archive.get(index=index, id=identity)["_source"]["missed_trades"] == 3
    with client(secured, "tapeline-es-writer") as thief:
        for crime in (
            lambda: thief.delete(index=index, id=identity),
            lambda: thief.indices.delete(index=index),
            lambda: thief.get(index=index, id=identity),
        ):
            with pytest.raises(AuthorizationException):
                crime()


def test_writer_may_look_up_what_it_stored_and_how_models_were_judged(secured: Secured, archive: Elasticsearch) -> None:
    trade = operation()
    sink(secured.elastic("tapeline-es-writer")).write([trade], clock_ms)
    archive.index(index=names.INDEX_MODELS, id="one", document={"run_id": "one"}, refresh=True)
    archive.indices.refresh(index=TRADES)
    with client(secured, "tapeline-es-writer") as reader:
        assert reader.count(index=TRADES)["count"] == 1
        assert reader.search(index=names.INDEX_MODELS)["hits"]["hits"][0]["_id"] == "one"


def test_trainer_reads_trades_and_gaps_and_stores_a_verdict_and_no_more(
    secured: Secured, archive: Elasticsearch, tmp_path: Path
) -> None:
    trades = factories.market(50, 1)
    lost = factories.gap(trades[9], trades[10])
    for document in trades:
        index = names.index_for_trade(document["traded_at"])
        archive.create(index=index, id=document["trade_id"], document={**document, "@timestamp": document["traded_at"]})
    stamped = {**lost.model_dump(), "@timestamp": lost.detected_at}
    archive.create(index=names.INDEX_GAPS, id=lost.identity(), document=stamped, refresh=True)
    archive.indices.refresh(index=TRADES)
    access = secured.elastic("tapeline-es-trainer")
    settings = TrainerSettings(**access.model_dump())
    with Store(str(access.elasticsearch_url), settings) as store:
        assert export.to_parquet(store, tmp_path / "trades.parquet") == len(trades)
        assert export.read_gaps(store) == [lost]
        verdict = {"@timestamp": factories.START_MS, "run_id": "one", "promoted": True}
        store.save_verdict("one", verdict)
        store.save_verdict("one", verdict)
    assert archive.get(index=names.INDEX_MODELS, id="one")["_source"] == verdict
    with client(secured, "tapeline-es-trainer") as thief, pytest.raises(AuthorizationException):
        thief.create(index=index, id="forged", document={})


def test_elasticsearch_refuses_a_wrong_password_and_the_stream_stops_with_its_words(
    secured: Secured, tmp_path: Path
) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    writer = sink(secured.elastic("tapeline-es-writer", elasticsearch_password_file=wrong))
    with pytest.raises(WriteRefused, match=r"status 401.*unable to authenticate user \[tapeline-es-writer\]"):
        writer.check_prepared()


def test_elasticsearch_of_another_authority_is_not_believed(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path).file
    with pytest.raises(OutageTooLong, match="certificate verify failed"):
        sink(secured.elastic("tapeline-es-writer", elasticsearch_ca_file=other)).check_prepared()


# Everything at once


@pytest.fixture
def stack(secured: Secured, archive: Elasticsearch) -> Iterator[Stack]:
    """All of our own parts, knowing only the secured servers."""
    writer = secured.elastic("tapeline-es-writer")
    spark = environment("STREAM_", secured.kafka("tapeline-spark"), writer)
    producer = environment("PRODUCER_", secured.kafka("tapeline-producer"))
    extra = {
        "spark": spark | {"STREAM_EXECUTION": "executors", "STREAM_TEMPLATES": "external"},
        "producer": producer | {"PRODUCER_GROUP": names.GROUP_PRODUCER},
    }
    options = fast_options(rate_per_s=100.0, extra_env=extra)
    running = Stack(new_state(), ("inference", "spark", "simulator", "producer"), options)
    try:
        yield running
    finally:
        running.remove()


def indexed(archive: Elasticsearch) -> int:
    return read_if_available(lambda: readers.count_documents(archive, TRADES)) or 0


@dataclass
class Outcome:
    """Reconciliation at one moment; true once every trade is indexed or inside a gap."""

    report: ReconciliationReport

    def __bool__(self) -> bool:
        return self.report.is_reconciled() and self.report.indexed + self.report.covered == self.report.sent


@pytest.mark.timeout(900)
def test_trades_go_the_whole_way_past_every_lock_and_no_password_is_left_on_it(
    secured: Secured, archive: Elasticsearch, stack: Stack
) -> None:
    promote_prior(stack.state.root / "models")
    stack.up()
    eventually(lambda: indexed(archive) > 500, "trades are searchable", 120)
    stack.kill("producer", signal.SIGKILL)
    stack.wait_ready("producer")
    before = indexed(archive)
    eventually(lambda: indexed(archive) > before + 300, "trades are searchable again", 120)
    httpx.post(f"{stack.addresses.simulator}/simulator/pause").raise_for_status()

    def outcome() -> Outcome:
        sent = readers.read_ledger(stack.state.root / "ledger.jsonl")
        trades = (trade for trade in readers.read_trades(archive) if not trade.instrument.symbol.endswith(RESUMED))
        return Outcome(reconcile(sent, trades, readers.read_gaps(archive)))

    reconciled = eventually(lambda: read_if_available(outcome), "ledger and documents are reconciled", 180)
    assert reconciled is not None and reconciled.report.indexed > 800
    logs = [*(stack.state.root / "logs").iterdir(), *(secured.state.root / "logs").iterdir()]
    assert {"spark.log", "producer.log", "kafka.log", "elasticsearch.log"} <= {path.name for path in logs}
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [user for user, password in secured.passwords.known.items() if password[:12] in text], path


def test_board_shows_what_is_stored_and_may_write_nothing(
    secured: Secured, archive: Elasticsearch, tmp_path: Path
) -> None:
    trade = operation()
    sink(secured.elastic("tapeline-es-writer")).write([trade], clock_ms)
    archive.indices.refresh(index=TRADES)
    access = secured.elastic("tapeline-es-board").model_dump(mode="json")
    board = Board(access.pop("elasticsearch_url"), tmp_path / "log", **access)
    try:
        assert [row["trade_id"] for row in board.get("tape")["trades"]] == [trade.identity.rpartition("|")[2]]
        for path in ("symbols", "market", "model", "reconciliation", "gaps", "alerts"):
            board.get(path)
    finally:
        board.stop()
    with client(secured, "tapeline-es-board") as thief:
        for crime in (
            lambda: thief.index(index=trade.index, id="1", document={}),
            lambda: thief.create(index=trade.index, id="1", document={}),
            lambda: thief.delete(index=trade.index, id=trade.identity),
            lambda: thief.indices.delete(index=trade.index),
            lambda: thief.indices.create(index=f"{names.INDEX_TRADES_PREFIX}2020.01.01"),
            lambda: thief.cluster.health(),
        ):
            with pytest.raises(AuthorizationException):
                crime()


def test_dashboards_are_loaded_by_a_user_that_has_kibanas_privilege_and_reads_no_index(
    secured: Secured, archive: Elasticsearch
) -> None:
    with client(secured, "tapeline-es-dashboards") as elastic:
        allowed = elastic.security.get_user_privileges().body
        assert allowed["applications"] == rights.ELASTICSEARCH["tapeline-es-dashboards"]["applications"]
        assert not allowed["indices"]
        assert not allowed["cluster"]
        with pytest.raises(AuthorizationException):
            elastic.search(index=TRADES)
        with pytest.raises(AuthorizationException):
            elastic.index(index=names.INDEX_GAPS, document={})
