"""Start of the stream process: what it refuses before Spark starts, and how it says so."""

import json
import logging
from pathlib import Path

import pytest
from tapeline.service.files import FORMAT_FILE
from tapeline_spark import __main__ as stream
from tapeline_spark import session


class SessionStarted(Exception):
    """The stream went on to start Spark."""


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A complete environment, and no Spark."""

    def start(*args: object, **options: object) -> None:
        raise SessionStarted

    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(stream, "_run_in_session", start)
    folder = tmp_path / "checkpoint"
    values = {"KAFKA_BOOTSTRAP": "x:1", "ELASTICSEARCH_URL": "http://x:1", "INFERENCE_URL": "http://x:1"}
    for name, value in {**values, "CHECKPOINT": str(folder), "JARS": "/jars"}.items():
        monkeypatch.setenv(f"STREAM_{name}", value)
    return folder


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Run the stream, which must end with 1 and one line on standard output; return its message."""
    assert stream.main() == 1
    (line,) = capsys.readouterr().out.splitlines()
    message: str = json.loads(line)["message"]
    return message


def test_a_checkpoint_from_before_formats_had_numbers_ends_the_process_in_one_line(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkpoint / "trades" / "offsets").mkdir(parents=True)
    text = refusal(capsys)
    assert str(checkpoint) in text and "format 0" in text and "STREAM_CHECKPOINT" in text
    assert [one.name for one in checkpoint.iterdir()] == ["trades"]


def test_a_checkpoint_of_another_format_ends_the_process_in_one_line(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.mkdir()
    (checkpoint / FORMAT_FILE).write_text(f"{session.CHECKPOINT_FORMAT + 1}")
    assert f"reads format {session.CHECKPOINT_FORMAT}" in refusal(capsys)


def test_a_new_checkpoint_and_one_of_this_format_are_accepted(checkpoint: Path) -> None:
    with pytest.raises(SessionStarted):
        stream.main()
    (checkpoint / "trades").mkdir()
    with pytest.raises(SessionStarted):
        stream.main()


def test_a_setting_under_its_old_name_ends_the_process_in_one_line(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAM_TOPIC_TRADES", "bybit-trades")
    assert "STREAM_TOPICS_TRADES" in refusal(capsys)
    assert not checkpoint.exists()
