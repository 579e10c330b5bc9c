"""Reads Spark's offset log: where a batch of a query begins in every partition, also in those without new records.

Before Spark runs a batch it writes a file `offsets/<number>` into the query's checkpoint: the version, a line of
metadata, then one line a source with the offset after the batch of each partition. A batch begins where the one
before it ends. `session.py` makes Spark keep the last ten files.
Source: OffsetSeqLog and JsonUtils of Spark 4; the stack tests hold it against a running Spark.
"""

from pathlib import Path
from typing import Final

import msgspec

from tapeline_spark.errors import OffsetLogUnreadable
from tapeline_spark.kafka.decode import TopicPartition

_VERSION: Final = "v1"
_decode = msgspec.json.Decoder(dict[str, dict[int, int]]).decode


def batch_start_offsets(query_checkpoint: Path, batch: int) -> dict[TopicPartition, int]:
    """Return the offset at which a batch begins in each partition; none before the first batch.

    A partition that is new in this batch is missing.

    Args:
        query_checkpoint: checkpoint folder of the query, which has one source.
        batch: number of the batch, as foreachBatch gets it.

    Raises:
        OffsetLogUnreadable: the file is missing or has another format.
    """
    if batch == 0:
        return {}
    path = query_checkpoint / "offsets" / str(batch - 1)
    try:
        version, _, *sources = path.read_text(encoding="utf-8").splitlines()
        if version != _VERSION or len(sources) != 1:
            raise OffsetLogUnreadable(path, f"it has version {version!r} and {len(sources)} sources")
        topics = _decode(sources[0])
    except (OSError, ValueError) as error:
        raise OffsetLogUnreadable(path, str(error)) from error
    return {(topic, number): offset for topic, partitions in topics.items() for number, offset in partitions.items()}
