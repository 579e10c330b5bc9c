from tapeline_local.stack import ports
from tapeline_local.stack.reports import Addresses, part_status
from tapeline_local.stack.supervision import Event

NUMBERS = {use: 20_000 + number for number, use in enumerate(ports.uses(3))}
STOPPED = {"statename": "STOPPED", "pid": 0, "start": 100, "now": 500}


def test_every_address_is_on_loopback_with_a_port_of_its_own():
    fields = vars(Addresses.from_ports(NUMBERS))
    where = [fields.pop("producers"), *((address,) for address in fields.values())]
    addresses = [address for group in where for address in group]
    assert len(set(addresses)) == len(addresses) == 10
    assert all("127.0.0.1:" in address for address in addresses)


def test_a_stopped_part_has_no_process_no_age_and_no_memory():
    status = part_status("kafka", STOPPED, [], NUMBERS)
    assert (status.pid, status.uptime_s, status.rss_mib) == (None, 0, 0)
    assert status.port == NUMBERS["kafka"]


def test_only_unexpected_exits_count_as_restarts():
    events = [Event("kafka", "died"), Event("kafka", "stopped"), Event("spark", "died"), Event("kafka", "started")]
    assert part_status("kafka", STOPPED, events, NUMBERS).restarts == 1


def test_replica_is_reached_at_its_own_port():
    assert part_status("producer-2", STOPPED, [], NUMBERS).port == NUMBERS["producer-2_health"]
    assert str(NUMBERS["producer-2_health"]) in Addresses.from_ports(NUMBERS).producers[1]
