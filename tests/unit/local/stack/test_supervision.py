import configparser
from pathlib import Path

import pytest
from tapeline_local.stack.options import PARTS, in_start_order
from tapeline_local.stack.supervision import (
    RESTART_POLICIES,
    Event,
    configuration,
    is_valid_socket_path,
    parse_event,
    parse_events,
    read_events,
    restart_policy,
)

# As supervisor 4.3 writes them.
LOG = """2026-11-21 04:42:09,001 INFO supervisord started with pid 10
2026-11-21 04:42:09,101 INFO spawned: 'kafka' with pid 11
2026-11-21 04:42:14,102 INFO success: kafka entered RUNNING state, process has stayed up for > than 5 seconds
2026-11-21 04:43:00,000 WARN exited: kafka (terminated by SIGKILL; not expected)
2026-11-21 04:43:01,000 WARN exited: spark (exit status 1; not expected)
2026-11-21 04:43:02,000 INFO gave up: spark entered FATAL state, too many start retries too quickly
2026-11-21 04:43:03,000 INFO stopped: producer (exit status 0)
"""


def parsed() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(PARTS, Path("/state/run/supervisor.sock"), False))
    return parser


def test_every_part_is_started_on_demand_and_again_after_a_crash():
    sections = [name for name in parsed().sections() if name.startswith("program:")]
    assert [name.removeprefix("program:") for name in sections] == list(PARTS)
    for name in sections:
        assert (parsed()[name]["autostart"], parsed()[name]["autorestart"]) == ("false", "true")
        assert parsed()[name]["killasgroup"] == "true"


def test_parts_are_stopped_in_the_opposite_order():
    priorities = [int(parsed()[f"program:{part}"]["priority"]) for part in PARTS]
    assert priorities == sorted(set(priorities))


def test_a_replica_has_the_policy_of_the_first_one_and_stops_before_it():
    assert restart_policy("producer-2") == RESTART_POLICIES["producer"]
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(in_start_order(PARTS, 2), Path("/state/run/supervisor.sock"), False))
    first, second = parser["program:producer"], parser["program:producer-2"]
    assert first["stopwaitsecs"] == second["stopwaitsecs"]
    assert int(first["priority"]) < int(second["priority"])


def test_only_spark_stops_its_own_processes_itself():
    assert [part for part in PARTS if not RESTART_POLICIES[part].signals_group] == ["spark"]


@pytest.mark.parametrize(
    ("line", "event"),
    list(
        zip(
            LOG.splitlines(),
            [
                None,
                Event("kafka", "started", pid=11),
                Event("kafka", "running", LOG.splitlines()[2].split("kafka ")[1]),
                Event("kafka", "died", "terminated by SIGKILL; not expected"),
                Event("spark", "died", "exit status 1; not expected"),
                Event("spark", "gave up", "entered FATAL state, too many start retries too quickly"),
                Event("producer", "stopped", "exit status 0"),
            ],
            strict=True,
        )
    ),
)
def test_a_line_of_the_log_is_parsed_into_its_event(line, event):
    assert parse_event(line) == event


def test_events_come_in_the_order_of_the_log():
    assert [event.kind for event in parse_events(LOG)] == ["started", "running", "died", "died", "gave up", "stopped"]


@pytest.mark.parametrize("path", ["/" + "long/" * 20 + "s", "/100%/s", "/a b/s", "/a;b/s"])
def test_a_socket_that_cannot_be_bound_or_written_down_is_not_plain(path):
    assert not is_valid_socket_path(Path(path))


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path):
    log = tmp_path / "supervisord.log"
    lines = LOG.splitlines(keepends=True)
    assert read_events(log, 0) == ([], 0)
    log.write_text("".join(lines[:2]) + lines[3][:40])
    first, offset = read_events(log, 0)
    log.write_text("".join(lines[:2]) + lines[3])
    second, _ = read_events(log, offset)
    assert [event.kind for event in first + second] == ["started", "died"]
