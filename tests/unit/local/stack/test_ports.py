import socket

from tapeline_local.stack import ports


def test_every_use_has_a_port_of_its_own_below_the_range_of_outgoing_connections():
    chosen = ports.choose({})
    assert set(chosen) == set(ports.USES)
    assert len(set(chosen.values())) == len(ports.USES)
    assert max(chosen.values()) < 32_768


def test_ports_are_kept_from_start_to_start(tmp_path):
    chosen = ports.choose(ports.load(tmp_path / "ports.json"))
    ports.save(tmp_path / "ports.json", chosen)
    assert ports.choose(ports.load(tmp_path / "ports.json")) == chosen


def test_only_a_port_that_was_taken_is_replaced():
    before = ports.choose({})
    with socket.create_server(("127.0.0.1", before["inference"])):
        after = ports.choose(before)
    assert after["inference"] not in before.values()
    assert {**after, "inference": 0} == {**before, "inference": 0}


def test_a_port_saved_twice_is_used_once():
    chosen = ports.choose(dict.fromkeys(ports.USES, ports.free_port(set())))
    assert len(set(chosen.values())) == len(ports.USES)


def test_each_producer_has_a_port_of_its_own_and_the_others_keep_theirs():
    before = ports.choose({})
    after = ports.choose(before, producers=3)
    assert set(after) == set(ports.USES) | {"producer-2_health", "producer-3_health"}
    assert len(set(after.values())) == len(after)
    assert {use: after[use] for use in before} == before
