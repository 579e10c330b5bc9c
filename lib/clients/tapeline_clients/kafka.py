"""Kafka clients: librdkafka connected by our settings, with its log lines in our log."""

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from tapeline import names
from tapeline.service.connection import KafkaConnection

log = logging.getLogger("librdkafka")


def producer(connection: KafkaConnection, options: Mapping[str, Any]) -> Producer:
    """Return an idempotent producer that spreads keys as the JVM's clients do.

    Args:
        connection: brokers, user and authorities; the password is read now.
        options: more options of librdkafka; they win over the ones set here.

    Raises:
        InvalidConnection: the password or the authorities cannot be read.
    """
    safe = {"acks": "all", "enable.idempotence": True, "partitioner": names.PARTITIONER}
    return Producer({**connection.librdkafka(), **safe, **options}, logger=log)


def consumer(connection: KafkaConnection, group: str, options: Mapping[str, Any]) -> Consumer:
    """Return a consumer that commits nothing by itself.

    Args:
        connection: brokers, user and authorities; the password is read now.
        group: consumer group, one of tapeline.names.
        options: more options of librdkafka; they win over the ones set here.

    Raises:
        InvalidConnection: the password or the authorities cannot be read.
    """
    own = {"group.id": group, "enable.auto.commit": False}
    return Consumer({**connection.librdkafka(), **own, **options}, logger=log)


def admin(connection: KafkaConnection, options: Mapping[str, Any]) -> AdminClient:
    """Return an admin client.

    Args:
        connection: brokers, user and authorities; the password is read now.
        options: more options of librdkafka; they win over the ones set here.

    Raises:
        InvalidConnection: the password or the authorities cannot be read.
    """
    return AdminClient({**connection.librdkafka(), **options}, logger=log)
