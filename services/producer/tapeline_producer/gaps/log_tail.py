"""What Kafka holds already: the end of the trades topic, read before a symbol is followed.

The log is the only memory; nothing is kept on disk. Joins no consumer group, commits nothing.
To remember more of a trade: add the field to `Stored` and to `History.remember`.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from tapeline import names

from tapeline_producer.errors import KafkaUnreachableError, TopicMissingError
from tapeline_producer.gaps.gap_detector import Histories, History, key_of
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_CALL_S: Final = 2.0
_BATCH: Final = 5_000
# A call waits this long for a full batch; the last one of a reading is never full.
_WAIT_S: Final = 0.05
_SILENCE_S: Final = 10.0
# A producer that was killed may have read trades that Kafka never took; they are hardly older than this, measured
# back from the newest trade in the log.
_IN_FLIGHT_MS: Final = 60_000

Key = tuple[str, str]


class Stored(msgspec.Struct, gc=False):
    """A trade in the log, as far as it matters here."""

    market_type: str
    symbol: str
    trade_id: str
    traded_at: int
    sequence: int | None
    frame_index: int

    def remember_in(self, history: History) -> None:
        """Let a history know this trade."""
        history.remember(self.trade_id, key_of(self.traded_at, self.sequence), self.frame_index)


class Reading(NamedTuple):
    """What a reading of the log's end gave; `ends` are the offsets behind it, by partition."""

    histories: Histories
    ends: dict[int, int]


_decode: Final = msgspec.json.Decoder(Stored).decode


def read(settings: Settings, wanted: Collection[Key], is_stopping: Callable[[], bool]) -> Reading:
    """Return the histories of symbols at the end of the trades topic; blocks, call it in a thread.

    Args:
        settings: brokers, topic, and how many records a partition are read at most.
        wanted: market_type and symbol of each.
        is_stopping: asked now and then; when true the reading ends early.

    Raises:
        KafkaUnreachableError: the brokers are away, or went away meanwhile.
        TopicMissingError: the topic does not exist.
        InvalidConnection: password or authorities cannot be read.
    """
    histories = Histories(settings.dedupe_ids, settings.hold_trades)
    of_wanted = {key: histories.of(*key) for key in wanted}

    def remember(stored: Stored) -> None:
        history = of_wanted.get((stored.market_type, stored.symbol))
        if history is not None:
            stored.remember_in(history)

    with _reader(settings, wanted, remember) as reader:
        reader.run({}, is_stopping)
    for history in histories:
        history.unknown_since = reader.unknown_since
        if history.last is None and history.unknown_since is None and reader.newest_ms is not None:
            # Nothing of it in a log of others: its first trades may have been on their way when somebody died.
            history.unknown_since = reader.newest_ms - _IN_FLIGHT_MS
    return Reading(histories, reader.ends)


def read_on(settings: Settings, wanted: Collection[Key], since: Mapping[int, int]) -> list[Stored]:
    """Return what was written of some symbols since an earlier reading; blocks, call it in a thread.

    Args:
        settings: as for `read`; no limit on the records.
        wanted: market_type and symbol of each.
        since: offsets to go on from, by partition.

    Raises:
        ProducerError: as for `read`.
    """
    found: list[Stored] = []
    with _reader(settings, wanted, found.append) as reader:
        reader.run(since, lambda: False)
    return [stored for stored in found if (stored.market_type, stored.symbol) in wanted]


@contextmanager
def _reader(settings: Settings, wanted: Collection[Key], take: Callable[[Stored], None]) -> Iterator["_Reader"]:
    consumer = Consumer(
        {
            **settings.librdkafka(),
            "group.id": names.GROUP_RESUME,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
        },
        logger=logging.getLogger("librdkafka"),
    )
    with closing(consumer):
        try:
            yield _Reader(settings, consumer, {symbol.encode() for _, symbol in wanted}, take)
        except KafkaException as error:
            raise KafkaUnreachableError(settings.kafka_bootstrap, error.args[0].str()) from error


class _Reader:
    """One reading of the topic's end."""

    def __init__(
        self, settings: Settings, consumer: Consumer, keys: Collection[bytes], take: Callable[[Stored], None]
    ) -> None:
        self.ends: dict[int, int] = {}
        self.unknown_since: int | None = None
        """Time, ms UTC, from which on every trade was read; None: there are none before."""
        self.newest_ms: int | None = None
        """Time, ms UTC, of the newest trade in the log, whatever its symbol; None of an empty log."""
        self._last_values: dict[int, bytes] = {}
        self._settings = settings
        self._consumer = consumer
        self._keys = keys
        self._hand_on = take
        self._unread: set[int] = set()
        self._cut: set[int] = set()
        self._cut_at: list[int] = []
        self._records = 0
        self._unreadable = 0

    def run(self, since: Mapping[int, int], is_stopping: Callable[[], bool]) -> None:
        self._assign(since)
        heard_at = time.monotonic()
        while self._unread and not is_stopping():
            messages = self._consumer.consume(_BATCH, _WAIT_S)
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _SILENCE_S:
                raise KafkaUnreachableError(
                    self._settings.kafka_bootstrap, f"partitions {sorted(self._unread)} went silent"
                )
            for message in messages:
                self._take(message)
        self.unknown_since = min(self._cut_at, default=None)
        self.newest_ms = max(_times(self._last_values.values()), default=None)
        what = {"records": self._records, "unreadable": self._unreadable, "unknown_since": self.unknown_since}
        log.info("read the end of the trades topic", extra=what)

    def _assign(self, since: Mapping[int, int]) -> None:
        topic = self._settings.topic_trades
        found = self._consumer.list_topics(topic, timeout=_CALL_S).topics[topic]
        if found.error is not None:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissingError((topic,), self._settings.kafka_bootstrap)
            raise KafkaException(found.error)
        places = []
        for number in found.partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_CALL_S)
            start = max(low, since.get(number, high - self._settings.resume_records))
            self.ends[number] = high
            if start < high:
                places.append(TopicPartition(topic, number, start))
                self._unread.add(number)
            if start > low and not since:
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
        self._last_values[partition] = message.value() or b""  # type: ignore[attr-defined]
        self.ends[partition] = max(self.ends[partition], message.offset() + 1)  # type: ignore[attr-defined]
        if partition not in self._cut and message.key() not in self._keys:  # type: ignore[attr-defined]
            return
        try:
            stored = _decode(message.value() or b"")  # type: ignore[attr-defined]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return
        if partition in self._cut:
            self._cut.discard(partition)
            self._cut_at.append(stored.traded_at)
        self._hand_on(stored)


def _times(values: Iterable[bytes]) -> Iterator[int]:
    """Yield the times of those that are trades, ms UTC."""
    for value in values:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield _decode(value).traded_at
