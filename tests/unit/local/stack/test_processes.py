import subprocess
import sys
from collections.abc import Iterator

import pytest
from tapeline_local.stack import processes

SLEEP = "import sys; print('on', flush=True); sys.stdin.read()"


@pytest.fixture
def start() -> Iterator:
    started: list[subprocess.Popen[bytes]] = []

    def begin(**env: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SLEEP]
        process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_only_processes_of_that_stack_are_killed(start, tmp_path):
    ours, others = start(TAPELINE_STACK=str(tmp_path)), start(TAPELINE_STACK=f"{tmp_path}-other")
    unmarked = start()
    assert len(processes.kill_marked(str(tmp_path))) == 1
    assert (ours.poll() is None, others.poll() is None, unmarked.poll() is None) == (False, True, True)


def test_only_processes_of_that_part_are_killed(start, tmp_path):
    kafka = start(TAPELINE_STACK=str(tmp_path), TAPELINE_PART="kafka")
    spark = start(TAPELINE_STACK=str(tmp_path), TAPELINE_PART="spark")
    processes.kill_marked(str(tmp_path), "kafka")
    assert (kafka.poll() is None, spark.poll() is None) == (False, True)


def test_memory_of_a_process_that_is_gone_is_nothing(start):
    process = start()
    assert processes.tree_rss_mib(process.pid) > 0
    process.kill()
    process.wait()
    assert processes.tree_rss_mib(process.pid) == 0
