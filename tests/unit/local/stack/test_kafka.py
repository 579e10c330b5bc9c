from pathlib import Path

from tapeline_local.stack import kafka


def properties() -> dict[str, str]:
    text = kafka.server_properties(Path("/state/kafka/data"), 1111, 2222, 3)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_broker_listens_on_loopback_only():
    assert properties()["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert properties()["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111"


def test_the_exposed_address_is_advertised():
    text = kafka.server_properties(Path("/data"), 1111, 2222, 3, "10.0.0.9:3333")
    found = dict(line.split("=", 1) for line in text.splitlines())
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111,EXPOSED://10.0.0.9:3333"
    assert found["listeners"].endswith(",EXPOSED://10.0.0.9:3333")


def test_every_internal_topic_gets_by_with_one_broker():
    factors = {k: v for k, v in properties().items() if k.endswith(("replication.factor", "min.isr"))}
    assert len(factors) >= 6
    assert set(factors.values()) == {"1"}


def test_topics_are_not_made_by_accident():
    assert properties()["auto.create.topics.enable"] == "false"


def test_a_cluster_id_that_begins_with_a_dash_stays_one_word():
    assert "--cluster-id=-abc" in kafka.format_arguments("-abc", Path("server.properties"))


def test_the_heap_is_bounded_as_asked():
    command = kafka.java_command(Path("/j/java"), Path("/libs"), Path("/state"), 300, None, "kafka.Kafka")
    assert "-Xmx300m" in command
    assert command[-1] == "kafka.Kafka"
