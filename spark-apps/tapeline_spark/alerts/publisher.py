"""Publishes alerts: a document in Elasticsearch, then a record for the notifier; returns when both are durable.

In this order, so that every notified alert can be looked up. Both may happen again after a crash: the document gets a
409, and the notifier identifies an alert by its id.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tapeline import names
from tapeline.records.alert import Alert
from tapeline.service.connection import KafkaConnection
from tapeline_clients import kafka
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong

log = logging.getLogger(__name__)

_POLL_S: Final = 0.1
_ATTEMPT_S: Final = 10.0
_CRITICAL: Final = 2


class _NotAcknowledged(Exception):
    """Kafka did not acknowledge every alert."""


class AlertSink(Protocol):
    """Sends alerts to the notifier."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send alerts; returns when they are durable.

        Raises:
            StreamError: they are not durable.
        """
        ...


def operation(alert: Alert) -> Operation:
    """Return the `create` operation of an alert's document."""
    source = orjson.dumps({"@timestamp": alert.began_at, **alert.model_dump()})
    return Operation(names.INDEX_ALERTS, alert.alert_id, source)


def record(alert: Alert) -> tuple[bytes, bytes]:
    """Return key and value of an alert in Kafka."""
    return (alert.symbol or alert.rule).encode(), alert.model_dump_json().encode()


class KafkaAlertSink:
    """Sends alerts to a Kafka topic."""

    def __init__(self, connection: KafkaConnection, topic: str, hold_s: float) -> None:
        """Prepare; the client is created, and the password read, at the first alert.

        Args:
            connection: brokers and credentials.
            topic: of the alerts.
            hold_s: seconds an outage is retried before OutageTooLong.
        """
        self._connection, self._topic, self._hold_s = connection, topic, hold_s
        self._producer: Producer | None = None
        self._reason = "no response"

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send alerts to Kafka, retrying until it acknowledges them.

        Raises:
            OutageTooLong: Kafka did not acknowledge them within `hold_s`.
            InvalidConnection: password or authorities cannot be read.
        """
        remaining = list(alerts)

        def attempt() -> None:
            nonlocal remaining
            remaining = self._send_once(remaining)
            if remaining:
                raise _NotAcknowledged

        retrying = Retrying(
            retry=retry_if_exception_type(_NotAcknowledged),
            wait=wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.3),
            stop=stop_after_delay(self._hold_s),
        )
        try:
            retrying(attempt)
        except RetryError as error:
            raise OutageTooLong("Kafka", self._hold_s, self._reason) from error

    def _send_once(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Send alerts once; return those that Kafka did not acknowledge."""
        acknowledged: set[str] = set()

        def on_delivery_of(alert: Alert) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, _: Message) -> None:
                if error is None:
                    acknowledged.add(alert.alert_id)
                else:
                    self._reason = error.str()

            return delivered

        if not alerts:
            return []
        producer = self._client()
        for alert in alerts:
            key, value = record(alert)
            try:
                producer.produce(self._topic, value, key, on_delivery=on_delivery_of(alert))
            except (BufferError, KafkaException) as error:
                self._reason = str(error)
                producer.poll(_POLL_S)
        producer.flush(_ATTEMPT_S + 1)
        remaining = [alert for alert in alerts if alert.alert_id not in acknowledged]
        if remaining:
            log.warning("alerts not acknowledged; retrying", extra={"reason": self._reason, "alerts": len(remaining)})
            # After a fatal error only a new client works; it also reads a changed password.
            self._producer = None
        return remaining

    def _client(self) -> Producer:
        if self._producer is None:
            options: dict[str, Any] = {
                "client.id": "tapeline-alerts",
                "linger.ms": 0,
                "message.timeout.ms": int(_ATTEMPT_S * 1000),
                "allow.auto.create.topics": False,
                "error_cb": self._on_error,
                "log_level": _CRITICAL,
            }
            self._producer = kafka.producer(self._connection, options)
        return self._producer

    def _on_error(self, error: KafkaError) -> None:
        self._reason = error.str().partition(" (after ")[0]


class AlertPublisher:
    """Publishes alerts."""

    def __init__(self, sink: ElasticSink, alert_sink: AlertSink) -> None:
        """Publish to both sinks."""
        self._sink, self._alert_sink = sink, alert_sink

    def publish(self, alerts: Sequence[Alert], notified: Sequence[Alert]) -> None:
        """Store alerts, and send some of them to the notifier.

        Args:
            alerts: to store.
            notified: alerts among them to send.

        Raises:
            StreamError: they are not durable.
        """
        if not alerts:
            return
        self._sink.write([operation(alert) for alert in alerts], lambda: alerts[0].raised_at)
        self._alert_sink.send(notified)
