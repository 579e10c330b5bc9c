"""The servers that the modules of a worker share: each finds them empty, and has them for itself."""

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stack.servers import Servers

BOTH = ("kafka", "elasticsearch")


def test_nothing_that_one_module_wrote_is_there_for_the_next(servers: Servers) -> None:
    with servers.lend(BOTH):
        bootstrap = servers.stack("kafka").addresses.kafka
        url = servers.stack("elasticsearch").addresses.elasticsearch
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic("left", 3, 1)])["left"].result(30)
        producer = Producer({"bootstrap.servers": bootstrap})
        producer.produce("left", b"value")
        assert producer.flush(30) == 0
        reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "left"})
        reader.commit(offsets=[TopicPartition("left", 0, 1)], asynchronous=False)
        reader.close()
        template = {"index_patterns": ["tapeline-left*"], "template": {}}
        httpx.put(f"{url}/_index_template/tapeline-left", json=template, timeout=60).raise_for_status()
        httpx.put(f"{url}/tapeline-left/_doc/1?refresh=true", json={"a": 1}, timeout=60).raise_for_status()

    with servers.lend(BOTH):
        assert not [name for name in admin.list_topics(timeout=30).topics if not name.startswith("__")]
        assert admin.list_consumer_groups().result(30).valid == []
        assert httpx.get(f"{url}/_cat/indices?format=json", timeout=60).json() == []
        assert httpx.get(f"{url}/_index_template/tapeline-*", timeout=60).json() == {"index_templates": []}


def test_server_is_lent_to_one_at_a_time(servers: Servers) -> None:
    with (
        servers.lend(["kafka"]),
        pytest.raises(AssertionError, match="kafka"),
        servers.lend(BOTH),
    ):
        pass
