"""Alerts become documents, then records for the notifier; returns when both stand.

In this order, so that whatever rings can be looked up. Both may happen again after a crash: the document answers 409,
and the notifier knows an alert by its id.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tapeline import names
from tapeline.records.alert import Alert
from tapeline.service.connection import KafkaConnection
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong

log = logging.getLogger(__name__)

_POLL_S: Final = 0.1
_ATTEMPT_S: Final = 10.0
_CRITICAL: Final = 2


class _NotTaken(Exception):
    """Kafka did not take every alert."""


class Bell(Protocol):
    """Whoever tells the notifier."""

    def ring(self, alerts: Sequence[Alert]) -> None:
        """Hand alerts over; return when they are safe.

        Raises:
            StreamError: they are not.
        """
        ...


def operation(alert: Alert) -> Operation:
    """Return the creation of an alert's document."""
    source = orjson.dumps({"@timestamp": alert.began_at, **alert.model_dump()})
    return Operation(names.INDEX_ALERTS, alert.alert_id, source)


def record(alert: Alert) -> tuple[bytes, bytes]:
    """Return key and value of an alert in Kafka."""
    return (alert.symbol or alert.rule).encode(), alert.model_dump_json().encode()


class KafkaBell:
    """Rings on the topic of alerts."""

    def __init__(self, access: KafkaConnection, topic: str, hold_s: float) -> None:
        """Prepare; the client is made, and the password read, at the first alert.

        Args:
            access: brokers, and who we are to them.
            topic: of the alerts.
            hold_s: seconds an outage is sat out before OutageTooLong.
        """
        self._access, self._topic, self._hold_s = access, topic, hold_s
        self._producer: Producer | None = None
        self._reason = "no answer"

    def ring(self, alerts: Sequence[Alert]) -> None:
        """Hand alerts over to Kafka, trying until it has them.

        Raises:
            OutageTooLong: it did not take them within the hold.
            InvalidConnection: password or authorities cannot be read.
        """
        left = list(alerts)

        def attempt() -> None:
            nonlocal left
            left = self._try(left)
            if left:
                raise _NotTaken

        waiting = Retrying(
            retry=retry_if_exception_type(_NotTaken),
            wait=wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.3),
            stop=stop_after_delay(self._hold_s),
        )
        try:
            waiting(attempt)
        except RetryError as error:
            raise OutageTooLong("Kafka", self._hold_s, self._reason) from error

    def _try(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Return those that Kafka did not take."""
        taken: set[str] = set()

        def note(alert: Alert) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, _: Message) -> None:
                if error is None:
                    taken.add(alert.alert_id)
                else:
                    self._reason = error.str()

            return delivered

        if not alerts:
            return []
        producer = self._client()
        for alert in alerts:
            key, value = record(alert)
            try:
                producer.produce(self._topic, value, key, on_delivery=note(alert))
            except (BufferError, KafkaException) as error:
                self._reason = str(error)
                producer.poll(_POLL_S)
        producer.flush(_ATTEMPT_S + 1)
        left = [alert for alert in alerts if alert.alert_id not in taken]
        if left:
            log.warning("Kafka does not take alerts", extra={"reason": self._reason, "alerts": len(left)})
            # After a fatal error only another client helps; it also reads a changed password.
            self._producer = None
        return left

    def _client(self) -> Producer:
        if self._producer is None:
            own: dict[str, Any] = {
                "client.id": "tapeline-alerts",
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": names.PARTITIONER,
                "linger.ms": 0,
                "message.timeout.ms": int(_ATTEMPT_S * 1000),
                "allow.auto.create.topics": False,
                "error_cb": self._on_error,
                "log_level": _CRITICAL,
            }
            options = {**self._access.librdkafka(), **own}
            self._producer = Producer(options, logger=logging.getLogger("librdkafka"))
        return self._producer

    def _on_error(self, error: KafkaError) -> None:
        self._reason = error.str().partition(" (after ")[0]


class Raiser:
    """Raises alerts."""

    def __init__(self, sink: ElasticSink, bell: Bell) -> None:
        """Remember where they go."""
        self._sink, self._bell = sink, bell

    def raise_all(self, alerts: Sequence[Alert], ringing: Sequence[Alert]) -> None:
        """Write alerts down, and ring for some of them.

        Args:
            alerts: all.
            ringing: those of them that somebody shall be told of.

        Raises:
            StreamError: they do not stand.
        """
        if not alerts:
            return
        self._sink.write([operation(alert) for alert in alerts], lambda: alerts[0].raised_at)
        self._bell.ring(ringing)
