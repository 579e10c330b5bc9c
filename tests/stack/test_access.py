"""Every client of ours against a Kafka and an Elasticsearch that demand TLS, a password and rights."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from elasticsearch import ApiError, AuthorizationException, Elasticsearch
from pydantic import BaseModel
from support import aeventually, eventually
from tapeline import names
from tapeline.access import ElasticAccess, KafkaAccess
from tapeline_local import evidence, paths
from tapeline_local.options import StackOptions
from tapeline_local.reconcile import Books, reconcile
from tapeline_local.stack import Stack
from tapeline_producer import resume
from tapeline_producer.errors import KafkaUnreachableError
from tapeline_producer.metrics import Metrics
from tapeline_producer.publish import Publisher
from tapeline_producer.service import clock_ms
from tapeline_producer.settings import Settings as ProducerSettings
from tapeline_spark import topics
from tapeline_spark.documents import Operation, Verdict, trade_operation
from tapeline_spark.elastic import ElasticSink
from tapeline_spark.errors import OutageTooLong, TemplateUnusable, WriteRefused
from tapeline_trainer import export
from tapeline_trainer.elastic import Store
from tapeline_trainer.settings import Settings as TrainerSettings
from unit.producer import made as producer_made
from unit.spark.made import record
from unit.trainer import made

from stack.models import promote_prior
from stack.secured import Authority, Secured

T = TypeVar("T")
OPTIONS = StackOptions(fast_jit=True, elasticsearch_heap_mib=384)
TOPICS = (names.TOPIC_TRADES, names.TOPIC_GAPS, names.TOPIC_REJECTS)
# Of a trade that the simulator did not make.
RESUMED = "RESUMEUSDT"
TRADES = f"{names.INDEX_TRADES_PREFIX}*"


def state() -> Path:
    return paths.STATES / f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with Secured(state(), OPTIONS) as servers:
        yield servers


def environment(prefix: str, *accesses: BaseModel) -> dict[str, str]:
    fields = {name: value for access in accesses for name, value in access.model_dump(mode="json").items()}
    return {f"{prefix}{name}".upper(): str(value) for name, value in fields.items()}


def bootstrap(secured: Secured, user: str = "tapeline-es-bootstrap", **more: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | environment("STREAM_", secured.elastic(user)) | more
    command = [sys.executable, "-W", "error", "-m", "tapeline_spark.bootstrap"]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=120)


def sink(access: ElasticAccess) -> ElasticSink:
    return ElasticSink(access, 1.0, 100, lambda reason: None)


def client(secured: Secured, user: str) -> Elasticsearch:
    access = secured.elastic(user)
    return Elasticsearch(access.elasticsearch_url, **access.client_options())


def operation() -> Operation:
    return trade_operation(record(), Verdict(names.STATE_WARMING_UP), made.START_MS, names.TOPIC_TRADES)


@pytest.fixture
def archive(secured: Secured) -> Iterator[Elasticsearch]:
    """An administrator's client to an Elasticsearch with its templates, empty again after the test."""
    assert bootstrap(secured).returncode == 0
    with secured.elastic_admin() as admin:
        yield admin
        for index in (TRADES, names.INDEX_GAPS, names.INDEX_MODELS):
            found = list(admin.indices.get(index=index, ignore_unavailable=True).body)
            if found:
                admin.indices.delete(index=found)


# Kafka


def refusal(access: KafkaAccess) -> str:
    """Return the first reason why the stream waits for its topics."""
    stopping, reasons = threading.Event(), []

    def tell(reason: str) -> None:
        reasons.append(reason)
        stopping.set()

    assert not topics.wait_for(access, TOPICS, stopping, tell)
    return reasons[0]


def test_stream_finds_its_topics_with_user_password_and_authority(secured: Secured) -> None:
    assert topics.wait_for(secured.kafka("tapeline-spark"), TOPICS, threading.Event(), pytest.fail)


def test_wrong_password_is_named_as_the_reason(secured: Secured, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    assert "Authentication failed" in refusal(secured.kafka("tapeline-spark", kafka_password_file=wrong))


def test_plain_connection_is_refused_and_the_protocol_named(secured: Secured) -> None:
    plain = KafkaAccess(kafka_bootstrap=secured.kafka("tapeline-spark").kafka_bootstrap)
    assert "does not answer over PLAINTEXT" in refusal(plain)


def test_broker_of_another_authority_is_not_believed(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path).file
    assert "certificate verify failed" in refusal(secured.kafka("tapeline-spark", kafka_ca_file=other))


def test_user_without_rights_sees_no_topic(secured: Secured) -> None:
    secured.set_kafka_password("stranger")
    assert f"no topic {', '.join(TOPICS)}" in refusal(secured.kafka("stranger"))


async def test_producer_publishes_what_a_later_one_resumes_from(secured: Secured) -> None:
    settings = ProducerSettings(**secured.kafka("tapeline-producer").model_dump())
    publisher = Publisher(settings, Metrics(), clock_ms)
    await asyncio.to_thread(publisher.check)
    publisher.trade(producer_made.trade(1, symbol=RESUMED))
    assert await publisher.close(20) == 0
    reading = await asyncio.to_thread(resume.read, settings, [("spot", RESUMED)], lambda: False)
    last = reading.histories.of("spot", RESUMED).last
    assert last is not None and last.trade_id == "t1"


async def test_producer_with_a_wrong_password_says_so_and_goes_on_when_its_file_is_right(
    secured: Secured, tmp_path: Path
) -> None:
    """A password is changed at the broker and in the file at different times, in a running pod too."""
    file = tmp_path / "password"
    file.write_text("of yesterday")
    access = secured.kafka("tapeline-producer", kafka_password_file=file)
    publisher = Publisher(ProducerSettings(**access.model_dump()), Metrics(), clock_ms)

    async def complaint() -> str:
        try:
            await asyncio.to_thread(publisher.check)
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
    assert await publisher.close(5) == 0


@pytest.mark.parametrize(
    ("user", "topic"),
    [("tapeline-spark", names.TOPIC_TRADES), ("tapeline-spark", names.TOPIC_REJECTS)],
)
def test_reader_may_not_write(secured: Secured, user: str, topic: str) -> None:
    outcome: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        outcome.append(error)

    producer = Producer({**secured.kafka(user).librdkafka(), "log_level": 0})
    producer.produce(topic, b"forged", on_delivery=delivered)
    producer.flush(30)
    assert outcome[0] is not None and outcome[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_producer_may_not_read_the_books(secured: Secured) -> None:
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
        with pytest.raises(TemplateUnusable, match=r"tapeline-trades was missing.*tapeline_spark\.bootstrap"):
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


def test_writer_creates_once_and_can_neither_change_nor_remove_nor_read(
    secured: Secured, archive: Elasticsearch
) -> None:
    trade = operation()
    writer = sink(secured.elastic("tapeline-es-writer"))
    first, again = writer.create([trade], clock_ms), writer.create([trade], clock_ms)
    assert (first.created, again.created, again.conflict) == (1, 0, 1)
    with client(secured, "tapeline-es-writer") as thief:
        for crime in (
            lambda: thief.index(index=trade.index, id=trade.identity, document={}),
            lambda: thief.update(index=trade.index, id=trade.identity, doc={"price": "1"}),
            lambda: thief.delete(index=trade.index, id=trade.identity),
            lambda: thief.indices.delete(index=trade.index),
            lambda: thief.get(index=trade.index, id=trade.identity),
            lambda: thief.create(index=names.INDEX_MODELS, id="1", document={}),
            lambda: thief.indices.put_index_template(name="tapeline-trades", index_patterns=["x"]),
        ):
            with pytest.raises(AuthorizationException):
                crime()


def test_trainer_reads_trades_and_holes_and_stores_a_verdict_and_no_more(
    secured: Secured, archive: Elasticsearch, tmp_path: Path
) -> None:
    trades = made.market(50, 1)
    hole = made.gap(trades[9], trades[10])
    for document in trades:
        index = names.index_for_trade(document["traded_at"])
        archive.create(index=index, id=document["trade_id"], document={**document, "@timestamp": document["traded_at"]})
    stamped = {**hole.model_dump(), "@timestamp": hole.detected_at}
    archive.create(index=names.INDEX_GAPS, id=hole.identity(), document=stamped, refresh=True)
    archive.indices.refresh(index=TRADES)
    access = secured.elastic("tapeline-es-trainer")
    settings = TrainerSettings(**access.model_dump())
    with Store(str(access.elasticsearch_url), settings) as store:
        assert export.to_parquet(store, tmp_path / "trades.parquet") == len(trades)
        assert export.read_gaps(store) == [hole]
        verdict = {"@timestamp": made.START_MS, "run_id": "one", "promoted": True}
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
        "spark": spark | {"STREAM_SHAPE": "executors", "STREAM_TEMPLATES": "external"},
        "producer": producer | {"PRODUCER_GROUP": names.GROUP_PRODUCER},
    }
    options = StackOptions(rate_per_s=100.0, fast_jit=True, extra_env=extra)
    running = Stack(state(), ("inference", "spark", "simulator", "producer"), options)
    try:
        yield running
    finally:
        running.remove()


def unless_made(read: Callable[[], T]) -> T | None:
    """Return what is read, or nothing while an index of it is just being made."""
    try:
        return read()
    except ApiError as error:
        assert error.status_code == 503, error
        return None


def indexed(archive: Elasticsearch) -> int:
    return unless_made(lambda: evidence.count(archive, TRADES)) or 0


@dataclass
class Outcome:
    """The books as they stand, true once they close."""

    books: Books

    def __bool__(self) -> bool:
        return self.books.balanced() and self.books.indexed + self.books.covered == self.books.sent


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
        sent = evidence.read_ledger(stack.state.root / "ledger.jsonl")
        trades = (trade for trade in evidence.read_trades(archive) if not trade.symbol.endswith(RESUMED))
        return Outcome(reconcile(sent, trades, evidence.read_gaps(archive)))

    closed = eventually(lambda: unless_made(outcome), "the books close", 180)
    assert closed is not None and closed.books.indexed > 800
    logs = [*(stack.state.root / "logs").iterdir(), *(secured.state.root / "logs").iterdir()]
    assert {"spark.log", "producer.log", "kafka.log", "elasticsearch.log"} <= {path.name for path in logs}
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [user for user, password in secured.passwords.known.items() if password[:12] in text], path
