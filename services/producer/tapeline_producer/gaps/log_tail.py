"""Reads the end of the trades topic before an instrument is subscribed, to learn which trades Kafka already holds.

The log is the only state; nothing is kept on disk. Joins no consumer group, commits nothing.
To track more of a trade: add the field to `LoggedTrade` and to `SequenceTracker.record_logged`.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline_clients import kafka

from tapeline_producer.errors import KafkaUnreachableError, TopicMissingError
from tapeline_producer.gaps.gap_detector import SequenceTracker, SequenceTrackers, order_key
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_CALL_S: Final = 2.0
_BATCH: Final = 5_000
# Longest wait for a full batch; the last batch of a reading is never full.
_WAIT_S: Final = 0.05
_IDLE_TIMEOUT_S: Final = 10.0
# A killed producer may have read trades that Kafka never acknowledged; they are hardly older than this, measured
# back from the newest trade in the log.
_IN_FLIGHT_MS: Final = 60_000


class LogPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class LoggedTrade(msgspec.Struct, gc=False):
    """The fields of a logged trade that a tracker needs."""

    venue: str
    market_type: str
    symbol: str
    trade_id: str
    traded_at: int
    sequence: int | None
    frame_index: int

    @property
    def instrument(self) -> Instrument:
        """Whose trade this is."""
        return instrument_of(self.venue, self.market_type, self.symbol)

    def record_in(self, tracker: SequenceTracker) -> None:
        """Record this trade in a tracker."""
        tracker.record_logged(self.trade_id, order_key(self.traded_at, self.sequence), self.frame_index)


class LogTail(NamedTuple):
    """The result of reading the log's end; `end_offsets` are the next offsets."""

    trackers: SequenceTrackers
    end_offsets: dict[LogPartition, int]


_decode_fields: Final = msgspec.json.Decoder(LoggedTrade).decode
_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def _decode(value: bytes | None) -> LoggedTrade:
    """Return the trade of a record; one of _DECODE_ERRORS where it is none, or its instrument breaks the rules."""
    trade = _decode_fields(value or b"")
    _ = trade.instrument
    return trade


def read_tail(settings: Settings, wanted: Collection[Instrument], is_stopping: Callable[[], bool]) -> LogTail:
    """Return the trackers of instruments at the end of the trades topic; blocks, call it in a thread.

    Args:
        settings: brokers, topic, and most records read of a partition.
        wanted: whose trades.
        is_stopping: polled; the reading ends early once it returns true.

    Raises:
        KafkaUnreachableError: the brokers cannot be reached, or stopped responding.
        TopicMissingError: the topic does not exist.
        InvalidConnection: password or authorities cannot be read.
    """
    trackers = SequenceTrackers(settings.dedupe_ids, settings.backfill_buffer_trades)
    wanted_trackers = {instrument: trackers.get_or_create(instrument) for instrument in wanted}

    def record_logged(trade: LoggedTrade) -> None:
        tracker = wanted_trackers.get(trade.instrument)
        if tracker is not None:
            trade.record_in(tracker)

    with _reader(settings, wanted, record_logged) as reader:
        reader.run({}, is_stopping)
    for tracker in trackers:
        tracker.unknown_since_ms = reader.unknown_since_ms
        if tracker.last is None and tracker.unknown_since_ms is None and reader.newest_ms is not None:
            # The log holds other instruments only: this one's first trades may have been in flight at a crash.
            tracker.unknown_since_ms = reader.newest_ms - _IN_FLIGHT_MS
    return LogTail(trackers, reader.end_offsets)


def read_since(
    settings: Settings, wanted: Collection[Instrument], since: Mapping[LogPartition, int]
) -> list[LoggedTrade]:
    """Return the trades of instruments that were logged since an earlier reading; blocks, call it in a thread.

    Args:
        settings: as for `read_tail`; no limit on the records.
        wanted: whose trades.
        since: offsets to start from.

    Raises:
        ProducerError: as for `read_tail`.
    """
    found: list[LoggedTrade] = []
    with _reader(settings, wanted, found.append) as reader:
        reader.run(since, lambda: False)
    return [trade for trade in found if trade.instrument in wanted]


@contextmanager
def _reader(
    settings: Settings, wanted: Collection[Instrument], on_trade: Callable[[LoggedTrade], None]
) -> Iterator["_TailReader"]:
    options = {"enable.partition.eof": True, "auto.offset.reset": "earliest", "allow.auto.create.topics": False}
    consumer = kafka.consumer(settings, names.GROUP_RESUME, options)
    with closing(consumer):
        try:
            yield _TailReader(settings, consumer, {instrument.symbol.encode() for instrument in wanted}, on_trade)
        except KafkaException as error:
            raise KafkaUnreachableError(settings.kafka_bootstrap, error.args[0].str()) from error


class _TailReader:
    """Reads the end of the topic once."""

    def __init__(
        self, settings: Settings, consumer: Consumer, keys: Collection[bytes], on_trade: Callable[[LoggedTrade], None]
    ) -> None:
        self.end_offsets: dict[LogPartition, int] = {}
        self.unknown_since_ms: int | None = None
        """Time, ms UTC, from which every trade was read; None if the log was read from its beginning."""
        self.newest_ms: int | None = None
        """Time, ms UTC, of the newest trade in the log, of any instrument; None if the log is empty."""
        self._last_values: dict[LogPartition, bytes] = {}
        self._settings = settings
        self._consumer = consumer
        self._keys = keys
        self._on_trade = on_trade
        self._unread: set[LogPartition] = set()
        self._truncated: set[LogPartition] = set()
        self._truncated_at_ms: list[int] = []
        self._records = 0
        self._undecodable = 0

    def run(self, since: Mapping[LogPartition, int], is_stopping: Callable[[], bool]) -> None:
        self._assign(since)
        last_message_at = time.monotonic()
        while self._unread and not is_stopping():
            messages = self._consumer.consume(_BATCH, _WAIT_S)
            if messages:
                last_message_at = time.monotonic()
            elif time.monotonic() - last_message_at > _IDLE_TIMEOUT_S:
                raise KafkaUnreachableError(
                    self._settings.kafka_bootstrap,
                    f"partitions {', '.join(map(str, sorted(self._unread)))} sent nothing for {_IDLE_TIMEOUT_S:g} s",
                )
            for message in messages:
                self._handle(message)
        self.unknown_since_ms = min(self._truncated_at_ms, default=None)
        self.newest_ms = max(_trade_times(self._last_values.values()), default=None)
        fields = {"records": self._records, "undecodable": self._undecodable, "unknown_since_ms": self.unknown_since_ms}
        log.info("log tail read", extra=fields)

    def _assign(self, since: Mapping[LogPartition, int]) -> None:
        topic = self._settings.topic_trades
        found = self._consumer.list_topics(topic, timeout=_CALL_S).topics[topic]
        if found.error is not None:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissingError((topic,), self._settings.kafka_bootstrap)
            raise KafkaException(found.error)
        starts = []
        for number in found.partitions:
            partition = LogPartition(topic, number)
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_CALL_S)
            start = max(low, since.get(partition, high - self._settings.resume_records))
            self.end_offsets[partition] = high
            if start < high:
                starts.append(TopicPartition(topic, number, start))
                self._unread.add(partition)
            if start > low and not since:
                self._truncated.add(partition)
        self._consumer.assign(starts)

    def _handle(self, message: object) -> None:
        error = message.error()  # type: ignore[attr-defined]
        partition = LogPartition(message.topic(), message.partition())  # type: ignore[attr-defined]
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(partition)
                return
            if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                return
            raise KafkaException(error)
        self._records += 1
        self._last_values[partition] = message.value() or b""  # type: ignore[attr-defined]
        self.end_offsets[partition] = max(self.end_offsets[partition], message.offset() + 1)  # type: ignore[attr-defined]
        if partition not in self._truncated and message.key() not in self._keys:  # type: ignore[attr-defined]
            return
        try:
            trade = _decode(message.value())  # type: ignore[attr-defined]
        except _DECODE_ERRORS:
            self._undecodable += 1
            return
        if partition in self._truncated:
            self._truncated.discard(partition)
            self._truncated_at_ms.append(trade.traded_at)
        self._on_trade(trade)


def _trade_times(values: Iterable[bytes]) -> Iterator[int]:
    """Yield the times of the values that are trades, ms UTC."""
    for value in values:
        with suppress(*_DECODE_ERRORS):
            yield _decode(value).traded_at
