"""Where a batch begins by Spark's offset log; the recorded text is of Spark 4.2.0."""

from pathlib import Path

import pytest
from tapeline_spark.errors import OffsetLogUnreadable
from tapeline_spark.kafka.offset_log import batch_start_offsets

METADATA = '{"batchWatermarkMs":0,"batchTimestampMs":1795807097481,"conf":{"spark.sql.shuffle.partitions":"2"}}'
SOURCE = '{"trade-gaps":{"0":1},"trade-rejects":{"0":0},"bybit-trades":{"0":321,"1":331}}'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "offsets").mkdir()
    return tmp_path


def test_a_batch_begins_where_the_one_before_it_ends(checkpoint: Path) -> None:
    (checkpoint / "offsets" / "6").write_text(f"v1\n{METADATA}\n{SOURCE}")
    starts = {("trade-gaps", 0): 1, ("trade-rejects", 0): 0, ("bybit-trades", 0): 321, ("bybit-trades", 1): 331}
    assert batch_start_offsets(checkpoint, 7) == starts


def test_before_the_first_batch_there_is_nothing(checkpoint: Path) -> None:
    assert batch_start_offsets(checkpoint, 0) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("", "not enough values"),
        (f"v2\n{METADATA}\n{SOURCE}", "version 'v2' and 1 sources"),
        (f"v1\n{METADATA}", "version 'v1' and 0 sources"),
        (f"v1\n{METADATA}\n{SOURCE}\n{SOURCE}", "version 'v1' and 2 sources"),
        (f"v1\n{METADATA}\n-", "malformed"),
        (f'v1\n{METADATA}\n{{"trades":{{"0":"x"}}}}', "Expected `int`"),
    ],
)
def test_a_file_that_is_not_understood_stops_the_stream(checkpoint: Path, text: str | None, said: str) -> None:
    path = checkpoint / "offsets" / "6"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OffsetLogUnreadable, match=said) as refused:
        batch_start_offsets(checkpoint, 7)
    assert str(path) in str(refused.value)
    assert "restore the checkpoint folder" in str(refused.value)
