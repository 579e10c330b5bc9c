"""Whose a reject is: symbol and minute, as far as its bytes let one see. Pure."""

import base64
import re
from typing import Final

from tapeline import names, trade
from tapeline.records import candle, reconciliation
from tapeline.records.reject import Reject

_SYMBOL: Final = re.compile(rb'(?:publicTrade\.|"(?:symbol|s)"\s*:\s*")([A-Za-z0-9._-]{1,40})"')
_TIME: Final = re.compile(rb'"(?:traded_at|T|time)"\s*:\s*"?([0-9]{13})(?![0-9])')
_CATEGORY: Final = re.compile(rb'"market_type"\s*:\s*"(spot|linear)"')

Key = tuple[str, str]


def place(raw: bytes, told_ms: int, market_type: str | None = None, symbol: str | None = None) -> tuple[list[Key], int]:
    """Return where something that could not be read counts: (market_type, symbol), and the start of its minute.

    Args:
        raw: its bytes.
        told_ms: when it was rejected or written, for bytes without a readable time, ms UTC.
        market_type: where one knows it; otherwise what the bytes say, and every market_type where they say nothing.
        symbol: where one knows it; otherwise what the bytes say, and UNKNOWN_SYMBOL where they say nothing.
    """
    if market_type is None:
        found = _CATEGORY.search(raw)
        market_types = (found[1].decode(),) if found else names.MARKET_TYPES
    else:
        market_types = (market_type,)
    if symbol is None or not re.fullmatch(trade.SYMBOL_PATTERN, symbol):
        found = _SYMBOL.search(raw)
        symbol = found[1].decode() if found else reconciliation.UNKNOWN_SYMBOL
    stamp = _TIME.search(raw)
    at_ms = int(stamp[1]) if stamp else told_ms
    # A stamp far from the clock is what may have been wrong with it.
    if abs(at_ms - told_ms) > 24 * 60 * candle.MINUTE_MS:
        at_ms = told_ms
    return [(one, symbol) for one in market_types], at_ms - at_ms % candle.MINUTE_MS


def place_report(value: bytes, written_ms: int) -> tuple[list[Key], int]:
    """Return where a record of names.TOPIC_REJECTS counts, as `place`.

    Args:
        value: of the record.
        written_ms: when it was written, ms UTC.
    """
    try:
        reject = Reject.model_validate_json(value)
        raw = base64.b64decode(reject.raw_base64)
    except ValueError:
        return place(value, written_ms)
    return place(raw, reject.rejected_at, reject.market_type)
