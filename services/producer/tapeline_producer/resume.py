"""What Kafka holds already: the end of the trades topic, read once at start.

The log is the only memory; nothing is kept on disk. Joins no consumer group, commits nothing.
To remember more of a trade: add the field to `_Stored` and to `History.remember`.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tapeline_producer.backlog import Admission
from tapeline_producer.continuity import Histories, key_of
from tapeline_producer.errors import KafkaUnreachableError, TopicMissingError
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_CALL_S: Final = 2.0
_BATCH: Final = 5_000
_SILENT_CALLS: Final = 5


class _Stored(msgspec.Struct, gc=False):
    category: str
    symbol: str
    trade_id: str
    traded_at: int
    sequence: int | None
    frame_index: int


_decode: Final = msgspec.json.Decoder(_Stored).decode


def read(settings: Settings, admission: Admission, is_stopping: Callable[[], bool]) -> Histories:
    """Return the histories of all symbols at the end of the trades topic; blocks, call it in a thread.

    Args:
        settings: brokers, topic, and how many records a partition are read at most.
        admission: told the last trade of each symbol.
        is_stopping: asked now and then; when true the reading ends early.

    Raises:
        KafkaUnreachableError: the brokers are away, or went away meanwhile.
        TopicMissingError: the topic does not exist.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "group.id": "tapeline-producer-resume",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
        },
        logger=logging.getLogger("librdkafka"),
    )
    with closing(consumer):
        try:
            return _Reader(settings, admission, consumer).run(is_stopping)
        except KafkaException as error:
            raise KafkaUnreachableError(settings.kafka_bootstrap, error.args[0].str()) from error


class _Reader:
    """One reading of the topic's end."""

    def __init__(self, settings: Settings, admission: Admission, consumer: Consumer) -> None:
        self._settings = settings
        self._admission = admission
        self._consumer = consumer
        self._histories = Histories(settings.dedupe_ids, settings.hold_trades)
        self._unread: set[int] = set()
        self._cut: set[int] = set()
        self._cut_at: list[int] = []
        self._records = 0
        self._unreadable = 0

    def run(self, is_stopping: Callable[[], bool]) -> Histories:
        self._assign()
        silent_calls = 0
        while self._unread and not is_stopping():
            messages = self._consumer.consume(_BATCH, _CALL_S)
            silent_calls = 0 if messages else silent_calls + 1
            if silent_calls > _SILENT_CALLS:
                raise KafkaUnreachableError(
                    self._settings.kafka_bootstrap, f"partitions {sorted(self._unread)} went silent"
                )
            for message in messages:
                self._take(message)
        if self._cut_at:
            self._histories.unknown_since = min(self._cut_at)
        log.info(
            "read the end of the trades topic",
            extra={
                "records": self._records,
                "unreadable": self._unreadable,
                "unknown_since": min(self._cut_at, default=None),
            },
        )
        return self._histories

    def _assign(self) -> None:
        topic = self._settings.topic_trades
        found = self._consumer.list_topics(topic, timeout=_CALL_S).topics[topic]
        if found.error is not None:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissingError((topic,), self._settings.kafka_bootstrap)
            raise KafkaException(found.error)
        places = []
        for number in found.partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_CALL_S)
            start = max(low, high - self._settings.resume_records)
            if start < high:
                places.append(TopicPartition(topic, number, start))
                self._unread.add(number)
            if start > low:
                self._cut.add(number)
        self._consumer.assign(places)

    def _take(self, message: object) -> None:
        error = message.error()  # type: ignore[attr-defined]
        partition = message.partition()  # type: ignore[attr-defined]
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(partition)
                return
            if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                return
            raise KafkaException(error)
        self._records += 1
        try:
            stored = _decode(message.value() or b"")  # type: ignore[attr-defined]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return
        if partition in self._cut:
            self._cut.discard(partition)
            self._cut_at.append(stored.traded_at)
        self._remember(stored)

    def _remember(self, stored: _Stored) -> None:
        key = key_of(stored.traded_at, stored.sequence)
        history = self._histories.of(stored.category, stored.symbol)
        history.remember(stored.trade_id, key, stored.frame_index)
        if history.last is not None and history.last.trade_id == stored.trade_id:
            self._admission.known(stored.category, stored.symbol, stored.trade_id, stored.traded_at)
