"""Reads recorded Bybit frames, one JSON object per line: `{recv_ts, conn, addr, frame}`.

Values, digits and order stay as recorded. The category is the last part of `addr`, the pace follows
`recv_ts` (seconds).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from tapeline.instrument import Instrument

from tapeline_simulator.bybit.frames import FORMATS, BybitTrade, FrameIndex, instrument_of
from tapeline_simulator.errors import CaptureRefused
from tapeline_simulator.sources.replay import RecordedFrame, Recording


def read(path: Path) -> Recording:
    """Read a capture.

    An exact duplicate is skipped and counted.

    Raises:
        CaptureRefused: a line is no such object, or a trade id occurs again with other values.
    """
    seen: dict[tuple[Instrument, str], dict[str, Any]] = {}
    indices: dict[Instrument, FrameIndex] = {}
    items: list[RecordedFrame] = []
    duplicates = 0
    first_s: float | None = None
    for place, record in _records(path):
        try:
            instrument = _instrument(record)
            received_s = float(record["recv_ts"])
            frame = record["frame"]
            new_trades = [fields for fields in frame["data"] if _is_new(seen, instrument, fields)]
            index = indices.setdefault(instrument, FrameIndex())
            trades = [_trade(instrument, fields, index) for fields in new_trades]
        except (KeyError, TypeError, ValueError) as error:
            raise CaptureRefused(path, place, str(error), "it must be a recorded publicTrade frame") from error
        duplicates += len(frame["data"]) - len(new_trades)
        first_s = received_s if first_s is None else first_s
        if trades:
            payload = orjson.dumps({**frame, "data": new_trades})
            items.append(RecordedFrame((received_s - first_s) * 1000, instrument, trades, payload))
    if not items:
        raise CaptureRefused(path, "content", "empty", "a recording must hold a trade")
    return Recording(_with_ascending_offsets(items), duplicates)


def _with_ascending_offsets(items: list[RecordedFrame]) -> list[RecordedFrame]:
    """Raise offsets to ascending order: the order of the file takes precedence over its times."""
    latest = 0.0
    ordered = []
    for item in items:
        latest = max(latest, item.offset_ms)
        ordered.append(item._replace(offset_ms=latest))
    return ordered


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"line {number}"
            try:
                yield place, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise CaptureRefused(path, place, line[:80], "it must be a JSON object") from error


def _instrument(record: dict[str, Any]) -> Instrument:
    category = str(record["addr"]).rpartition("/")[2]
    if category not in FORMATS:
        raise ValueError(f"category {category!r} of addr; known: {sorted(FORMATS)}")
    prefix, _, symbol = str(record["frame"]["topic"]).partition(".")
    if prefix != "publicTrade" or not symbol:
        raise ValueError(f"topic {record['frame']['topic']!r}")
    return instrument_of(category, symbol)


def _is_new(seen: dict[tuple[Instrument, str], dict[str, Any]], instrument: Instrument, fields: dict[str, Any]) -> bool:
    before = seen.setdefault((instrument, fields["i"]), fields)
    if before != fields:
        raise ValueError(f"trade id {fields['i']!r} a second time, with other values")
    return before is fields


def _trade(instrument: Instrument, fields: dict[str, Any], index: FrameIndex) -> BybitTrade:
    traded_at, sequence = int(fields["T"]), fields.get("seq")
    return BybitTrade(
        trade_id=fields["i"],
        traded_at=traded_at,
        price=fields["p"],
        quantity=fields["v"],
        side=fields["S"],
        sequence=sequence,
        frame_index=index.next_index(traded_at, sequence),
        tick_direction=fields.get("L"),
        is_block_trade=bool(fields.get("BT", False)),
        is_rpi=fields.get("RPI"),
    )
