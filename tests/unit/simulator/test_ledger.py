"""The ledger survives a kill at any byte, and has one writer."""

import json
import os
from pathlib import Path

import pytest
from tapeline_simulator.bybit.frames import instrument_of
from tapeline_simulator.errors import LedgerRefused, LedgerUnwritable
from tapeline_simulator.ledger import TAIL_ROWS, Ledger, encode

from unit.simulator.factories import BTC, trade

ETH = instrument_of("linear", "ETHUSDT")
WITHOUT_VENUE = encode(BTC, trade(1), 1, 0).replace(b'"venue":"bybit",', b"")
UNKNOWN_MARKET = encode(BTC, trade(1), 1, 0).replace(b'"spot"', b'"option"')


def filled(path, *lines: bytes) -> None:
    ledger = Ledger(path)
    ledger.append(lines)
    ledger.close()


def reopened(path) -> Ledger:
    ledger = Ledger(path)
    ledger.close()
    return ledger


def test_row_has_the_agreed_keys_and_values():
    line = encode(BTC, trade(1, frame_index=4), 1790000000000000001, 2)
    assert line.endswith(b"\n")
    assert list(json.loads(line).items()) == [
        ("venue", "bybit"),
        ("market_type", "spot"),
        ("symbol", "BTCUSDT"),
        ("trade_id", "2290000000000000001"),
        ("traded_at", 1790000000001),
        ("sequence", 115058640185),
        ("frame_index", 4),
        ("price", "83805.1"),
        ("quantity", "0.001466"),
        ("side", "Buy"),
        ("sent_at_ns", 1790000000000000001),
        ("sockets", 2),
    ]


def test_appended_rows_are_in_the_file_at_once(tmp_path):
    ledger = Ledger(tmp_path / "new" / "ledger.jsonl")
    ledger.append([encode(BTC, trade(1), 1, 0)])
    assert (tmp_path / "new" / "ledger.jsonl").read_bytes() == encode(BTC, trade(1), 1, 0)
    ledger.close()


def test_reopened_ledger_has_count_last_row_and_recent_rows(tmp_path):
    path = tmp_path / "ledger.jsonl"
    lines = [encode(BTC, trade(number), 1, 0) for number in range(TAIL_ROWS + 7)]
    filled(path, encode(ETH, trade(5), 1, 0), *lines)
    ledger = reopened(path)
    assert ledger.rows == TAIL_ROWS + 8 and ledger.dropped_bytes == 0
    assert ledger.last["trade_id"] == trade(TAIL_ROWS + 6).trade_id
    assert [row["trade_id"] for row in ledger.recent_rows[BTC]] == [trade(n).trade_id for n in range(7, TAIL_ROWS + 7)]
    assert [row["trade_id"] for row in ledger.recent_rows[ETH]] == [trade(5).trade_id]


def test_ledger_truncated_at_any_byte_keeps_its_complete_lines(tmp_path):
    path = tmp_path / "ledger.jsonl"
    lines = [encode(BTC, trade(number), 1, 0) for number in range(3)]
    content = b"".join(lines)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        ledger = reopened(path)
        kept = content[:length].count(b"\n")
        assert ledger.rows == kept and path.read_bytes() == b"".join(lines[:kept])
        assert (ledger.last is None) == (kept == 0)


def test_a_truncated_line_longer_than_a_block_is_dropped(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(encode(BTC, trade(1), 1, 0) + b"x" * 3_000_000)
    assert reopened(path).rows == 1


def test_second_writer_is_refused(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(LedgerRefused, match="only one simulator"):
        Ledger(tmp_path / "ledger.jsonl")
    ledger.close()


@pytest.mark.parametrize(
    "line",
    [b"hello\n", b'{"venue":"bybit","market_type":"spot","symbol":"X","trade_id":"1"\n', WITHOUT_VENUE, UNKNOWN_MARKET],
)
def test_a_file_that_is_no_ledger_is_refused_and_unchanged(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line)
    with pytest.raises(LedgerRefused, match="SIMULATOR_LEDGER"):
        Ledger(path)
    assert path.read_bytes() == line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_a_full_disk_is_an_error_with_a_remedy(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, ledger._file)
    os.close(full)
    with pytest.raises(LedgerUnwritable, match="Make room"):
        ledger.append([b"{}\n"])
    ledger.close()
