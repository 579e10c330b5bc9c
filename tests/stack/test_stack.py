"""The supervision itself, on real processes: data survives, crashes are named, nothing is left behind."""

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from support import eventually
from tapeline import names
from tapeline_local import paths
from tapeline_local.errors import NotRunning, PartDied, StackInUse
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack

from stack.fast import fast_options, running_stack

NewStack = Callable[..., Stack]


def processes_naming(folder: Path) -> list[str]:
    """Every process that has the folder in its command line, found without the code under test."""
    found = []
    for process in psutil.process_iter(["cmdline", "name", "pid"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(f"{process.info['name']} {process.pid}")
    return found


def send(bootstrap: str, key: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    producer.produce(names.TOPIC_TRADES, key=key, value=b"{}")
    assert producer.flush(30) == 0


def keys_of(bootstrap: str) -> set[str]:
    """Return the keys of all trades from the first record to the last."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "any", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer(settings)
    unread = set(consumer.list_topics(names.TOPIC_TRADES, timeout=30).topics[names.TOPIC_TRADES].partitions)
    consumer.assign([TopicPartition(names.TOPIC_TRADES, number, OFFSET_BEGINNING) for number in unread])
    keys: set[str] = set()

    def is_read() -> bool:
        for message in consumer.consume(100, timeout=0.5):
            error = message.error()
            if error is None:
                keys.add((message.key() or b"").decode())
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
        return not unread

    eventually(is_read, "everything is read", 90)
    consumer.close()
    return keys


@pytest.fixture(scope="module")
def pair() -> Iterator[Stack]:
    """A stack of both servers; each test leaves it as `down` or `up` did."""
    with running_stack(("kafka", "elasticsearch"), fast_options()) as running:
        yield running


@pytest.fixture(scope="module")
def broker() -> Iterator[Stack]:
    """A stack of Kafka alone; each test leaves it running."""
    with running_stack(("kafka",), fast_options()) as running:
        yield running


def test_data_of_both_servers_is_there_after_down_and_up_on_the_same_folder(pair: Stack) -> None:
    first = pair.addresses
    send(first.kafka, "before")
    httpx.put(f"{first.elasticsearch}/tapeline-test/_doc/1?refresh=true", json={"a": 1}, timeout=60).raise_for_status()
    pair.down()
    assert processes_naming(pair.state.root) == []

    pair.up()
    assert pair.addresses == first
    assert httpx.get(f"{first.elasticsearch}/tapeline-test/_doc/1", timeout=60).json()["_source"] == {"a": 1}
    assert keys_of(first.kafka) == {"before"}


def test_down_ends_everything_after_the_supervisor_itself_was_killed(pair: Stack) -> None:
    owner = pair.owner()
    assert owner is not None
    psutil.Process(owner).kill()
    eventually(lambda: pair.owner() is None, "the lock to be free")
    assert len(processes_naming(pair.state.root)) >= 2
    pair.down()
    assert processes_naming(pair.state.root) == []
    with pytest.raises(NotRunning):
        pair.status()


def test_kafka_keeps_its_data_when_its_ports_were_taken_meanwhile(broker: Stack) -> None:
    send(broker.addresses.kafka, "before")
    before = broker.state.saved()
    broker.down()
    assert before is not None
    thieves = [socket.create_server(("127.0.0.1", before.ports[use])) for use in ("kafka", "kafka_controller")]
    broker.up()
    assert broker.addresses.kafka != f"127.0.0.1:{before.ports['kafka']}"
    assert "before" in keys_of(broker.addresses.kafka)
    for thief in thieves:
        thief.close()


def test_a_part_killed_hard_is_named_and_comes_back_with_its_data(broker: Stack) -> None:
    send(broker.addresses.kafka, "before the kill")
    broker.new_events()
    restarts = broker.status()[0].restarts
    old = broker.kill("kafka", signal.SIGKILL)
    broker.wait_ready("kafka")
    # Those of an earlier start may come late.
    since_death = itertools.dropwhile(lambda event: event.kind != "died", broker.new_events())
    died, started = [event for event in since_death if event.kind != "settled"][:2]
    assert (died.part, died.kind) == ("kafka", "died")
    assert "SIGKILL" in died.detail
    assert started.pid == broker.pid("kafka") != old
    assert broker.status()[0].restarts == restarts + 1
    assert "before the kill" in keys_of(broker.addresses.kafka)


def test_a_part_that_cannot_start_is_named_with_the_end_of_its_log(new_stack: NewStack) -> None:
    options = StackOptions(extra_env={"kafka": {"JDK_JAVA_OPTIONS": "-XX:+NoSuchFlagAnywhere"}})
    stack = Stack(new_stack("kafka").state.root, ("kafka",), options)
    with pytest.raises(PartDied, match="NoSuchFlagAnywhere") as refusal:
        stack.up()
    assert refusal.value.part == "kafka"
    assert processes_naming(stack.state.root) == []


def test_everything_stops_when_the_program_that_started_it_is_killed(new_stack: NewStack) -> None:
    stack = new_stack("simulator")
    program = (
        "import pathlib, sys; from tapeline_local.stack.stack import Stack\n"
        "stack = Stack(pathlib.Path(sys.argv[1]), ('simulator',)); stack.up()\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(stack.state.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        assert processes_naming(stack.state.root)
        parent.kill()
    eventually(lambda: not processes_naming(stack.state.root), "nothing to be left", 60)


def test_two_stacks_run_side_by_side_and_one_folder_serves_one(broker: Stack, new_stack: NewStack) -> None:
    other = new_stack("kafka")
    other.up()
    send(other.addresses.kafka, "other")
    send(broker.addresses.kafka, "one")
    assert keys_of(other.addresses.kafka) == {"other"}
    assert "one" in keys_of(broker.addresses.kafka)
    assert "other" not in keys_of(broker.addresses.kafka)
    with pytest.raises(StackInUse, match=f"process {broker.owner()}"):
        new_stack("kafka", state=broker.state.root).up()


def test_a_part_is_stopped_and_started_alone(new_stack: NewStack) -> None:
    stack = new_stack("simulator")
    stack.up()
    stack.stop("simulator")
    with pytest.raises(PartDied, match="STOPPED"):
        stack.wait_ready("simulator")
    stack.start("simulator")
    stack.wait_ready("simulator")
    assert stack.status()[0].restarts == 0


def test_a_folder_with_a_long_name_and_a_percent_sign_serves(new_stack: NewStack) -> None:
    stack = new_stack("kafka", state=paths.STATES / f"test-100% {'long' * 20}")
    stack.up()
    send(stack.addresses.kafka, "here")
    assert keys_of(stack.addresses.kafka) == {"here"}
