"""The ledger: every trade, written before it is sent, one JSON object per line.

Written lines survive a kill of the process. A line truncated by a kill was never sent; it is dropped
when the file is opened again. One process at a time.
"""

import fcntl
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import orjson
from tapeline.instrument import Instrument, instrument_of

from tapeline_simulator.bybit.frames import BybitTrade
from tapeline_simulator.errors import LedgerRefused, LedgerUnwritable
from tapeline_simulator.sources.source import Row

TAIL_ROWS: Final = 1000
"""Rows of each symbol kept in memory: the maximum of the REST recent-trade endpoint."""
_START: Final = b'{"venue":"'
_AFTER_SYMBOL: Final = b'","trade_id":"'
_BLOCK: Final = 1 << 20


def encode(instrument: Instrument, trade: BybitTrade, sent_at_ns: int, sockets: int) -> bytes:
    """Return the line of a trade, with its line feed."""
    return orjson.dumps(
        {
            "venue": instrument.venue,
            "market_type": instrument.market_type,
            "symbol": instrument.symbol,
            "trade_id": trade.trade_id,
            "traded_at": trade.traded_at,
            "sequence": trade.sequence,
            "frame_index": trade.frame_index,
            "price": trade.price,
            "quantity": trade.quantity,
            "side": trade.side,
            "sent_at_ns": sent_at_ns,
            "sockets": sockets,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


class Ledger:
    """An open ledger.

    Attributes:
        rows: lines in the file.
        dropped_bytes: length of the truncated line that was dropped at opening.
        last: last row found at opening, or None in a new file.
        recent_rows: last TAIL_ROWS rows of each symbol found at opening, oldest first.
    """

    def __init__(self, path: Path) -> None:
        """Open, repair and read a ledger; create the file if it does not exist.

        Raises:
            LedgerRefused: another process has the file open, or a line is no ledger row.
            LedgerUnwritable: the file cannot be opened for writing.
        """
        self._path = path
        self.rows = 0
        self.last: Row | None = None
        self.recent_rows: Mapping[Instrument, Sequence[Row]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise LedgerUnwritable(path, error) from error
        try:
            self._lock()
            self.dropped_bytes = self._repair()
            self._read()
        except LedgerRefused:
            self.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerRefused(self._path, "state", "locked", "only one simulator may write it") from None

    def _repair(self) -> int:
        """Truncate a last line without line feed; return its length."""
        size = os.fstat(self._file).st_size
        keep = size
        while keep > 0:
            start = max(0, keep - _BLOCK)
            block = os.pread(self._file, keep - start, start)
            newline = block.rfind(b"\n")
            keep = start + newline + 1
            if newline >= 0:
                break
        if keep < size:
            os.ftruncate(self._file, keep)
        return size - keep

    def _read(self) -> None:
        """Count the rows and parse the last rows of each symbol."""
        lines: dict[bytes, deque[bytes]] = {}
        last = b""
        with self._path.open("rb") as file:
            for last in file:
                self.rows += 1
                end = last.find(_AFTER_SYMBOL)
                if end < 0 or not last.startswith(_START):
                    self._refuse(self.rows, last)
                tail = lines.get(last[:end])
                if tail is None:
                    tail = lines[last[:end]] = deque(maxlen=TAIL_ROWS)
                tail.append(last)
        recent_rows = [[self._parse(line) for line in tail] for tail in lines.values()]
        self.recent_rows = {self._instrument(rows[0]): rows for rows in recent_rows}
        self.last = self._parse(last) if last else None

    def _parse(self, line: bytes) -> Row:
        try:
            row: Row = orjson.loads(line)
        except orjson.JSONDecodeError:
            self._refuse(None, line)
        return row

    def _instrument(self, row: Row) -> Instrument:
        try:
            return instrument_of(row["venue"], row["market_type"], row["symbol"])
        except (KeyError, ValueError):
            self._refuse(None, orjson.dumps(row))

    def _refuse(self, number: int | None, line: bytes) -> NoReturn:
        place = "a line" if number is None else f"line {number}"
        raise LedgerRefused(self._path, place, line[:80], "it must be a row of a ledger") from None

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines to the file; all are written when the call returns.

        Raises:
            LedgerUnwritable: not all lines were written.
        """
        rest = memoryview(b"".join(lines))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise LedgerUnwritable(self._path, error) from error
        self.rows += len(lines)

    def close(self) -> None:
        """Close the file and release its lock."""
        os.close(self._file)
