"""Readiness probes of the parts, over the network; creates the topics.

A probe returns None when the part is ready, else the reason why it is not.
"""

import socket
from collections.abc import Callable
from functools import cache
from typing import Final

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tapeline import names

from tapeline_local.stack.options import kind_of
from tapeline_local.stack.parts import HOST, bootstrap, health_use, url

_TIMEOUT_S = 2.0
# One partition a shard; many more shards than producers, so that each owns about as many.
TOPIC_SHARDS_PARTITIONS: Final = 64
RETENTION_MS: Final = 7 * 24 * 3600 * 1000
_TOPIC_TIMEOUT_S = 30.0


@cache
def _client() -> httpx.Client:
    # Created once: each client reads all certificate authorities, too slow for ten probes a second.
    return httpx.Client(timeout=_TIMEOUT_S, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def _http(address: str) -> tuple[int, str]:
    """Return status and the start of the body; status 0 if there was no response."""
    try:
        response = _client().get(address)
    except httpx.HTTPError as error:
        return 0, f"{type(error).__name__}: {error}"
    return response.status_code, response.text[:200]


def _health(address: str) -> str | None:
    status, text = _http(address)
    return None if status == httpx.codes.OK else f"{address} responded {status} {text}".strip()


def _elasticsearch(ports: dict[str, int]) -> str | None:
    address = f"{url(ports, 'elasticsearch')}/_cluster/health"
    status, text = _http(address)
    if status == httpx.codes.OK and '"status":"red"' not in text:
        return None
    return f"{address} responded {status} {text}".strip()


def _quiet_admin(ports: dict[str, int]) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap(ports), "log_level": 0, "socket.timeout.ms": 5000})


def _kafka(ports: dict[str, int]) -> str | None:
    # A Kafka client without a broker waits for its timeout; a plain connection fails at once.
    try:
        socket.create_connection((HOST, ports["kafka"]), _TIMEOUT_S).close()
        brokers = _quiet_admin(ports).list_topics(timeout=_TIMEOUT_S).brokers
    except (OSError, KafkaException) as error:
        return f"{bootstrap(ports)}: {error}"
    return None if brokers else "no broker is registered"


_PROBES: Final[dict[str, Callable[[dict[str, int]], str | None]]] = {
    "kafka": _kafka,
    "elasticsearch": _elasticsearch,
    # Without a model it is not ready, by design; the probe requires liveness only.
    "inference": lambda ports: _health(f"{url(ports, 'inference')}/health/live"),
    "board": lambda ports: _health(f"{url(ports, 'board')}/health/ready"),
    # Liveness only: an unreachable target must not fail the stack.
    "notifier": lambda ports: _health(f"{url(ports, 'notifier_health')}/health/live"),
    "spark": lambda ports: _health(f"{url(ports, 'spark_health')}/health/ready"),
    "simulator": lambda ports: _health(f"{url(ports, 'simulator')}/health/ready"),
}


def not_ready_reason(part: str, ports: dict[str, int]) -> str | None:
    """Return None if the part is ready, else the reason why it is not."""
    if kind_of(part) == "producer":
        return _health(f"{url(ports, health_use(part))}/health/ready")
    return _PROBES[part](ports)


def create_topics(ports: dict[str, int], partitions: int) -> list[str]:
    """Create the missing topics; return their names.

    Raises:
        KafkaException: the broker refused.
    """
    admin = _quiet_admin(ports)
    wanted = {
        names.TOPIC_TRADES: partitions,
        names.TOPIC_GAPS: 1,
        names.TOPIC_REJECTS: 1,
        names.TOPIC_COUNTS: 1,
        names.TOPIC_ALERTS: 1,
        names.TOPIC_SHARDS: TOPIC_SHARDS_PARTITIONS,
    }
    present = admin.list_topics(timeout=_TOPIC_TIMEOUT_S).topics
    missing = [topic for topic in wanted if topic not in present]
    config = {"retention.ms": str(RETENTION_MS)}
    new = [NewTopic(topic, wanted[topic], 1, config=config) for topic in missing]
    futures = admin.create_topics(new, operation_timeout=_TOPIC_TIMEOUT_S) if new else {}
    for future in futures.values():
        future.result(_TOPIC_TIMEOUT_S)
    return missing
