"""The supervision itself, on real processes: data survives, crashes are named, nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from confluent_kafka import Consumer, Producer
from support import eventually
from tapeline import names
from tapeline_local import paths
from tapeline_local.errors import NotRunning, PartDied, StackInUse
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack

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


def keys_of(bootstrap: str, count: int) -> set[str]:
    settings = {"bootstrap.servers": bootstrap, "group.id": "any", "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer(settings)
    consumer.subscribe([names.TOPIC_TRADES])
    keys: set[str] = set()

    def enough() -> bool:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            keys.add((message.key() or b"").decode())
        return len(keys) >= count

    eventually(enough, f"{count} messages to read", 90)
    consumer.close()
    return keys


def test_data_of_both_servers_is_there_after_down_and_up_on_the_same_folder(new_stack: NewStack) -> None:
    stack = new_stack("kafka", "elasticsearch")
    stack.up()
    first = stack.addresses
    send(first.kafka, "before")
    httpx.put(f"{first.elasticsearch}/tapeline-test/_doc/1?refresh=true", json={"a": 1}, timeout=60).raise_for_status()
    stack.down()
    assert processes_naming(stack.state.root) == []

    stack.up()
    assert stack.addresses == first
    assert httpx.get(f"{first.elasticsearch}/tapeline-test/_doc/1", timeout=60).json()["_source"] == {"a": 1}
    assert keys_of(first.kafka, 1) == {"before"}


def test_kafka_keeps_its_data_when_its_ports_were_taken_meanwhile(new_stack: NewStack) -> None:
    stack = new_stack("kafka")
    stack.up()
    send(stack.addresses.kafka, "before")
    before = stack.state.saved()
    stack.down()
    assert before is not None
    thieves = [socket.create_server(("127.0.0.1", before.ports[use])) for use in ("kafka", "kafka_controller")]
    stack.up()
    assert stack.addresses.kafka != f"127.0.0.1:{before.ports['kafka']}"
    assert keys_of(stack.addresses.kafka, 1) == {"before"}
    for thief in thieves:
        thief.close()


def test_a_part_killed_hard_is_named_and_comes_back_with_its_data(new_stack: NewStack) -> None:
    stack = new_stack("kafka")
    stack.up()
    send(stack.addresses.kafka, "before")
    stack.new_events()
    old = stack.kill("kafka", signal.SIGKILL)
    stack.wait_ready("kafka")
    died, started = [event for event in stack.new_events() if event.kind != "settled"][:2]
    assert (died.part, died.kind) == ("kafka", "died")
    assert "SIGKILL" in died.detail
    assert started.pid == stack.pid("kafka") != old
    assert stack.status()[0].restarts == 1
    assert keys_of(stack.addresses.kafka, 1) == {"before"}


def test_a_part_that_cannot_start_is_named_with_the_end_of_its_log(new_stack: NewStack) -> None:
    options = StackOptions(extra_env={"kafka": {"JDK_JAVA_OPTIONS": "-XX:+NoSuchFlagAnywhere"}})
    stack = Stack(new_stack("kafka").state.root, ("kafka",), options)
    with pytest.raises(PartDied, match="NoSuchFlagAnywhere") as refusal:
        stack.up()
    assert refusal.value.part == "kafka"
    assert processes_naming(stack.state.root) == []


def test_down_ends_everything_after_the_supervisor_itself_was_killed(new_stack: NewStack) -> None:
    stack = new_stack("kafka", "elasticsearch")
    stack.up()
    owner = stack.owner()
    assert owner is not None
    psutil.Process(owner).kill()
    eventually(lambda: stack.owner() is None, "the lock to be free")
    assert len(processes_naming(stack.state.root)) >= 2
    stack.down()
    assert processes_naming(stack.state.root) == []
    with pytest.raises(NotRunning):
        stack.status()


def test_everything_stops_when_the_program_that_started_it_is_killed(new_stack: NewStack) -> None:
    stack = new_stack("kafka")
    program = (
        "import pathlib, sys; from tapeline_local.stack.stack import Stack\n"
        "stack = Stack(pathlib.Path(sys.argv[1]), ('kafka',)); stack.up()\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(stack.state.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    eventually(lambda: not processes_naming(stack.state.root), "nothing to be left", 60)


def test_two_stacks_run_side_by_side_and_one_folder_serves_one(new_stack: NewStack) -> None:
    one, other = new_stack("kafka"), new_stack("kafka")
    one.up()
    other.up()
    send(one.addresses.kafka, "one")
    send(other.addresses.kafka, "other")
    assert keys_of(one.addresses.kafka, 1) == {"one"}
    assert keys_of(other.addresses.kafka, 1) == {"other"}
    with pytest.raises(StackInUse, match=f"process {one.owner()}"):
        new_stack("kafka", state=one.state.root).up()


def test_a_part_is_stopped_and_started_alone(new_stack: NewStack) -> None:
    stack = new_stack("kafka")
    stack.up()
    stack.stop("kafka")
    with pytest.raises(PartDied, match="STOPPED"):
        stack.wait_ready("kafka")
    stack.start("kafka")
    stack.wait_ready("kafka")
    assert stack.status()[0].restarts == 0


def test_a_folder_with_a_long_name_and_a_percent_sign_serves(new_stack: NewStack) -> None:
    stack = new_stack("kafka", state=paths.STATES / f"test-100% {'long' * 20}")
    stack.up()
    send(stack.addresses.kafka, "here")
    assert keys_of(stack.addresses.kafka, 1) == {"here"}
