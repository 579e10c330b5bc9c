import pytest
from tapeline_local.cluster import checks
from tapeline_local.cluster.errors import InsufficientResources

GIB = 2**30
MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:    6291456 kB\n"


@pytest.fixture
def meminfo(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text(MEMINFO)
    return file


def test_what_is_free_counts_where_docker_runs_on_this_machine(meminfo):
    assert checks.available_bytes(checks.Engine(32 * GIB, 2, ""), meminfo) == 6 * GIB


def test_a_docker_elsewhere_is_measured_by_its_own_memory(meminfo):
    assert checks.available_bytes(checks.Engine(12 * GIB, 2, ""), meminfo) == 12 * GIB


def test_a_system_without_that_account_is_measured_by_dockers_memory(tmp_path):
    assert checks.available_bytes(checks.Engine(12 * GIB, 2, ""), tmp_path / "none") == 12 * GIB


def test_exactly_enough_is_enough_and_a_byte_less_is_not():
    found = checks.Engine(32 * GIB, 2, "")
    checks.require_resources(found, 8 * GIB)
    with pytest.raises(InsufficientResources, match="the whole platform needs 8 GiB"):
        checks.require_resources(found, 8 * GIB - 1)


def test_a_registry_elsewhere_is_left_to_docker():
    checks.require_registry("ghcr.io")
