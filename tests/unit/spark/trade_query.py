"""The trade query without servers: a log in memory, a sink and a model that answer at once."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pytest
from tapeline import names
from tapeline_spark.elastic.bulk import Outcome
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.settings import Settings
from tapeline_spark.trades import batch, snapshot
from tapeline_spark.trades.batch import BatchProcessor, Row
from tapeline_spark.trades.inference_client import Predictions

NOW_MS = 1_790_000_100_000


class LoggedMessage(NamedTuple):
    """A message as the Kafka client returns it."""

    at: int
    content: bytes | None

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.content


class MemoryLog:
    """Stands for KafkaLog: the rows of all topics, from offset 0 on."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, connection: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def earliest_offset(self, topic: str, partition: int) -> int:
        return 0

    def offset_at_lookback(self, topic: str, partition: int, stop: int, span_ms: int) -> int:
        return 0

    def messages(self, topic: str, partition: int, start: int, stop: int) -> Iterator[LoggedMessage]:
        for row in self._rows:
            if row[:2] == (topic, partition) and start <= row[2] < stop:
                yield LoggedMessage(row[2], row[3])


class MemorySink:
    """Keeps operations in the order of their arrival; a known identity is a conflict."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def write(self, operations: Sequence[Operation], now_ms: Any) -> Outcome:
        known = {one.identity for one in self.operations}
        new = [one for one in operations if one.identity not in known]
        self.operations += new
        return Outcome(created=len(new), conflict=len(operations) - len(new))


class ChecksumModel:
    """Stands for InferenceClient: the probability is a checksum of the row and differs where a feature differs."""

    def predict(self, matrix: Any) -> Predictions:
        return Predictions("ok", np.array([zlib.crc32(row.tobytes()) / 2**32 for row in matrix]), 0.5, "digest")


class TradeQuery:
    """A BatchProcessor over a log in memory."""

    def __init__(
        self, folder: Path, rows: Sequence[Row], patch: pytest.MonkeyPatch, scope: str = "driver", **settings: Any
    ) -> None:
        patch.setattr(batch, "now_ms", lambda: NOW_MS)
        patch.setattr(snapshot, "KafkaLog", MemoryLog(rows))
        addresses = {"kafka_bootstrap": "x:1", "elasticsearch_url": "http://x:1", "inference_url": "http://x:1"}
        self.settings = Settings(**addresses, checkpoint=folder, jars=folder, **settings)
        self.sink, self._scope = MemorySink(), scope
        self.restart()

    def restart(self) -> None:
        """Begin again from the last snapshot, with the same documents."""
        model: Any = ChecksumModel()
        sink: Any = self.sink
        self.processor = BatchProcessor(self.settings, model, sink, self._scope)

    def documents(self) -> dict[str, bytes]:
        """Return the stored documents by index and identity."""
        return {f"{one.index}/{one.identity}": one.source for one in self.sink.operations}


def in_log(topic: str, values: Sequence[bytes | None], partition: int = 0) -> list[Row]:
    """Return values as rows of one partition, from offset 0 on."""
    return [(topic, partition, offset, value) for offset, value in enumerate(values)]


TOPICS = (names.TOPIC_TRADES, names.TOPIC_GAPS, names.TOPIC_REJECTS)
