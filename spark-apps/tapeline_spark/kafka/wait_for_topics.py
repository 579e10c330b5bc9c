"""Waits for the topics: the JVM starts in seconds that a broker needs too, so neither waits for the other to begin."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from tapeline.service.connection import KafkaConnection
from tenacity import RetryError, Retrying, retry_if_exception_type, wait_fixed
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_PAUSE_S = 0.25


class _Missing(Exception):
    """The broker does not answer yet, or does not have every topic yet."""


def wait_for(
    access: KafkaConnection, topics: Sequence[str], stopping: threading.Event, tell: Callable[[str], None]
) -> bool:
    """Wait until every topic exists; whoever runs the broker creates them, never a reader.

    Args:
        access: brokers, and who we are to them.
        topics: names.
        stopping: ends the wait when it is set.
        tell: told why at every try that failed, so that waiting does not look like hanging.

    Returns:
        Whether they are there; False only after `stopping`.

    Raises:
        InvalidConnection: password or authorities cannot be read.
    """
    told = ""

    def look() -> None:
        nonlocal told
        reason = _lacking(access, topics)
        if reason is not None:
            if reason != told:
                log.info("waiting for the topics", extra={"reason": reason})
            told = reason
            tell(reason)
            raise _Missing

    waiting = Retrying(
        retry=retry_if_exception_type(_Missing),
        wait=wait_fixed(_PAUSE_S),
        sleep=sleep_using_event(stopping),
        stop=stop_when_event_set(stopping),
    )
    try:
        waiting(look)
    except RetryError:
        return False
    return True


def _lacking(access: KafkaConnection, topics: Sequence[str]) -> str | None:
    """Return why the topics cannot be read, None if they can; a client each time, for the password may change."""
    heard: list[str] = []

    def hear(error: KafkaError) -> None:
        # The call that fails says only that it did; the rest of this is how long it took.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            heard.append(error.str().partition(" (after ")[0])

    options: dict[str, Any] = {"log_level": 0, "socket.timeout.ms": 5000, "error_cb": hear}
    admin = AdminClient({**access.librdkafka(), **options})
    try:
        present = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        admin.poll(0)
        reason = heard[-1] if heard else error.args[0].str()
        return f"{access.kafka_bootstrap} does not answer over {access.kafka_security_protocol}: {reason}"
    missing = ", ".join(topic for topic in topics if topic not in present)
    return f"{access.kafka_bootstrap} shows this user no topic {missing}" if missing else None
