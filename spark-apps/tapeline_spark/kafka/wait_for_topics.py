"""Waits until the topics exist. The JVM and a broker start in parallel, so the stream may be up first."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from tapeline.service.connection import KafkaConnection
from tapeline_clients import kafka
from tenacity import RetryError, Retrying, retry_if_exception_type, wait_fixed
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_PAUSE_S = 0.25


class _Missing(Exception):
    """The broker does not respond yet, or a topic is missing."""


def wait_for(
    connection: KafkaConnection, topics: Sequence[str], stopping: threading.Event, on_wait: Callable[[str], None]
) -> bool:
    """Wait until every topic exists; readers never create topics.

    Args:
        connection: brokers and credentials.
        topics: names of the topics.
        stopping: ends the wait when it is set.
        on_wait: called with the reason after every failed attempt, so that waiting does not look like a hang.

    Returns:
        True if the topics exist; False only after `stopping` is set.

    Raises:
        InvalidConnection: password or authorities cannot be read.
    """
    last_reason = ""

    def check_topics() -> None:
        nonlocal last_reason
        reason = _missing_reason(connection, topics)
        if reason is not None:
            if reason != last_reason:
                log.info("waiting for topics", extra={"reason": reason})
            last_reason = reason
            on_wait(reason)
            raise _Missing

    retrying = Retrying(
        retry=retry_if_exception_type(_Missing),
        wait=wait_fixed(_PAUSE_S),
        sleep=sleep_using_event(stopping),
        stop=stop_when_event_set(stopping),
    )
    try:
        retrying(check_topics)
    except RetryError:
        return False
    return True


def _missing_reason(connection: KafkaConnection, topics: Sequence[str]) -> str | None:
    """Return why the topics cannot be read, None if they can. A new client each time, since the password may change."""
    errors: list[str] = []

    def record_error(error: KafkaError) -> None:
        # The exception of the call has no cause; text after " (after " is the duration.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            errors.append(error.str().partition(" (after ")[0])

    options: dict[str, Any] = {"log_level": 0, "socket.timeout.ms": 5000, "error_cb": record_error}
    admin = kafka.admin(connection, options)
    try:
        present = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        admin.poll(0)
        reason = errors[-1] if errors else error.args[0].str()
        return f"{connection.kafka_bootstrap} does not respond over {connection.kafka_security_protocol}: {reason}"
    missing = ", ".join(topic for topic in topics if topic not in present)
    return f"{connection.kafka_bootstrap} shows this user no topic {missing}" if missing else None
