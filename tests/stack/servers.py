"""A Kafka and an Elasticsearch that the modules of one worker use one after the other, each finding them empty.

A start costs as much CPU as several tests. A test may kill a server, `stack(part).kill(part)`, and waits for it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch
from support import eventually_nothing
from tapeline_local.stack.options import Server, StackOptions
from tapeline_local.stack.stack import Stack

from stack.fast import fast_options, new_state, running_stack

_TIMEOUT_S = 30.0


class Servers:
    """Both servers, each started on first use."""

    def __init__(self) -> None:
        self._running: dict[Server, Stack] = {}
        self._lent: set[Server] = set()

    def stack(self, part: Server) -> Stack:
        """Return the stack of one server alone; it runs."""
        if part not in self._running:
            made = Stack(new_state(), (part,), fast_options())
            self._running[part] = made
            made.up()
        return self._running[part]

    @contextmanager
    def lend(self, parts: Collection[Server]) -> Iterator[dict[Server, int]]:
        """Yield the ports of these servers, empty, and empty them again at the end.

        Raises:
            AssertionError: one of them is lent already.
        """
        assert not self._lent & set(parts), f"{self._lent & set(parts)} are in use by another stack of this module"
        self._lent |= set(parts)
        try:
            self._empty(parts)
            yield {part: self.stack(part).status()[0].port for part in parts}
        finally:
            self._lent -= set(parts)
            self._empty(parts)

    @contextmanager
    def running_stack(
        self, parts: tuple[str, ...], options: StackOptions, except_for: tuple[str, ...] = ()
    ) -> Iterator[Stack]:
        """Start a stack that uses these servers, some of its parts excepted, and remove it at the end."""
        wanted: tuple[Server, ...] = ("kafka", "elasticsearch")
        with (
            self.lend([part for part in wanted if part in parts]) as ports,
            running_stack(parts, options.model_copy(update={"existing": ports}), except_for) as running,
        ):
            yield running

    def remove(self) -> None:
        """Stop them and delete their data."""
        for stack in self._running.values():
            stack.remove()
        self._running.clear()

    def _empty(self, parts: Collection[Server]) -> None:
        for part in parts:
            self.stack(part).wait_ready(part)
        if "kafka" in parts:
            _empty_kafka(self.stack("kafka").addresses.kafka)
        if "elasticsearch" in parts:
            _empty_elasticsearch(self.stack("elasticsearch").addresses.elasticsearch)


def _empty_kafka(bootstrap: str) -> None:
    """Delete every topic and every group; a group whose members were killed is waited for."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def topics() -> list[str]:
        found = admin.list_topics(timeout=_TIMEOUT_S).topics
        return [name for name in found if not name.startswith("__")]

    def groups() -> list[str]:
        found = [one.group_id for one in admin.list_consumer_groups().result(_TIMEOUT_S).valid]
        for future in admin.delete_consumer_groups(found).values() if found else ():
            future.exception(_TIMEOUT_S)  # not empty yet: it is listed again
        return found

    if topics():
        for future in admin.delete_topics(topics(), operation_timeout=_TIMEOUT_S).values():
            future.result(_TIMEOUT_S)
    eventually_nothing(topics, "topics of the module before", _TIMEOUT_S)
    eventually_nothing(groups, "groups of the module before", 90)


def _empty_elasticsearch(url: str) -> None:
    """Delete every index and every template of ours; this server has no other state, such as policies."""
    with Elasticsearch(url, request_timeout=60) as client:
        # By name: a pattern is refused here, as it is in production.
        for index in client.indices.get(index="*", expand_wildcards="open,closed"):
            client.indices.delete(index=index)
        for template in client.indices.get_index_template()["index_templates"]:
            if template["name"].startswith("tapeline"):
                client.indices.delete_index_template(name=template["name"])
