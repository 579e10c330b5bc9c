"""Waits for the topics: the JVM starts in seconds that a broker needs too, so neither waits for the other to begin."""

import logging
import threading
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, wait_fixed
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

log = logging.getLogger(__name__)

_TIMEOUT_S = 2.0
_PAUSE_S = 0.25


class _Missing(Exception):
    """The broker does not answer yet, or does not have every topic yet."""


def wait_for(bootstrap: str, topics: Sequence[str], stopping: threading.Event, beat: Callable[[], None]) -> bool:
    """Wait until every topic exists; they are created by whoever runs the broker, never by a reader.

    Args:
        bootstrap: brokers, `host:port`, comma-separated.
        topics: names.
        stopping: ends the wait when it is set.
        beat: called at every try, so that waiting does not look like hanging.

    Returns:
        Whether they are there; False only after `stopping`.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 5000})

    def look() -> None:
        beat()
        try:
            present = admin.list_topics(timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            raise _Missing(f"{bootstrap} does not answer: {error}") from error
        missing = [topic for topic in topics if topic not in present]
        if missing:
            raise _Missing(f"{bootstrap} has no topic {', '.join(missing)}")

    waiting = Retrying(
        retry=retry_if_exception_type(_Missing),
        wait=wait_fixed(_PAUSE_S),
        sleep=sleep_using_event(stopping),
        stop=stop_when_event_set(stopping),
        before_sleep=_tell,
    )
    try:
        waiting(look)
    except RetryError:
        return False
    return True


def _tell(state: RetryCallState) -> None:
    if state.attempt_number == 1 or state.attempt_number % 40 == 0:
        log.info("waiting for the topics", extra={"reason": str(state.outcome.exception()) if state.outcome else ""})
