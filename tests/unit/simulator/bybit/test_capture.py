"""Recorded frames are read unchanged and in order, without duplicates."""

import json
import os
from pathlib import Path

import pytest
from tapeline_simulator.bybit import capture
from tapeline_simulator.bybit.frames import instrument_of
from tapeline_simulator.errors import CaptureRefused


def line(received_s: float, *ids: str, category: str = "spot", **changes: object) -> dict[str, object]:
    fields = {"T": 1790000000000, "p": "1.50", "v": "2.0", "S": "Buy", "seq": 9, "s": "XUSDT", "BT": False}
    data = [{"i": number, **fields, **changes} for number in ids]
    frame = {"topic": "publicTrade.XUSDT", "ts": 1790000000002, "type": "snapshot", "data": data}
    return {"recv_ts": received_s, "conn": "c", "addr": f"wss://host/v5/public/{category}", "frame": frame}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "frames.jsonl"
    path.write_text("".join(f"{text if isinstance(text, str) else json.dumps(text)}\n" for text in lines))
    return path


def test_frames_keep_values_digits_order_and_pace(tmp_path):
    lines = [line(100.0, "a", "b"), line(100.25, "a", category="linear", L="PlusTick"), line(100.2, "c")]
    recording = capture.read(written(tmp_path, *lines))
    assert [item.instrument for item in recording.items] == [
        instrument_of("spot", "XUSDT"),
        instrument_of("linear", "XUSDT"),
        instrument_of("spot", "XUSDT"),
    ]
    assert [json.dumps(json.loads(item.payload)) for item in recording.items] == [
        json.dumps(recorded["frame"]) for recorded in lines
    ]
    # The third has an earlier time than the second: the order of the file takes precedence.
    assert [item.offset_ms for item in recording.items] == [0, 250, 250]
    assert [trade.frame_index for trade in recording.items[0].trades] == [0, 1]
    assert recording.items[0].trades[0].is_rpi is None


def test_an_exact_duplicate_is_skipped_and_counted(tmp_path):
    recording = capture.read(written(tmp_path, line(1, "a", "b"), line(2, "b", "c"), line(3, "a")))
    sent = [json.loads(item.payload)["data"] for item in recording.items]
    assert [[fields["i"] for fields in data] for data in sent] == [["a", "b"], ["c"]]
    assert recording.duplicates == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["{"], "line 1 .*JSON"),
        ([line(1, "a"), line(2, "a", p="1.51")], "line 2 .*other values"),
        ([line(1, "a", category="option")], "line 1 .*option"),
        ([{"recv_ts": 1}], "line 1 .*addr"),
        ([], "empty"),
    ],
)
def test_an_invalid_capture_is_refused_with_line_and_remedy(tmp_path, lines, words):
    with pytest.raises(CaptureRefused, match=f"{words}.*SIMULATOR_CAPTURE"):
        capture.read(written(tmp_path, *lines))


@pytest.mark.captures
def test_genuine_capture_is_sent_value_for_value():
    folder = os.environ.get("CAPTURES")
    if not folder:
        pytest.skip("CAPTURES is not set; it names the folder that holds bybit/bybit_v5_publicTrade_frames.jsonl")
    path = Path(folder) / "bybit" / "bybit_v5_publicTrade_frames.jsonl"
    recorded = [json.loads(text)["frame"] for text in path.read_text().splitlines()]
    recording = capture.read(path)
    assert recording.duplicates == 0
    assert [json.dumps(json.loads(item.payload)) for item in recording.items] == [
        json.dumps(frame) for frame in recorded
    ]
