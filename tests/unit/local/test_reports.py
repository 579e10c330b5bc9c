from tapeline_local import ports
from tapeline_local.reports import Addresses, status_of
from tapeline_local.supervision import Event

NUMBERS = {use: 20_000 + number for number, use in enumerate(ports.USES)}
STOPPED = {"statename": "STOPPED", "pid": 0, "start": 100, "now": 500}


def test_every_address_is_on_loopback_with_a_port_of_its_own():
    where = vars(Addresses.of(NUMBERS))
    assert len(set(where.values())) == len(where)
    assert all("127.0.0.1:" in address for address in where.values())


def test_a_stopped_part_has_no_process_no_age_and_no_memory():
    status = status_of("kafka", STOPPED, [], NUMBERS)
    assert (status.pid, status.uptime_s, status.rss_mib) == (None, 0, 0)
    assert status.port == NUMBERS["kafka"]


def test_only_ends_that_nobody_asked_for_count_as_restarts():
    events = [Event("kafka", "died"), Event("kafka", "stopped"), Event("spark", "died"), Event("kafka", "started")]
    assert status_of("kafka", STOPPED, events, NUMBERS).restarts == 1
