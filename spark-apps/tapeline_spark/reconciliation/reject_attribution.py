"""Attributes a reject to an instrument and a minute, as far as its bytes allow. Pure."""

import base64
import re
from collections.abc import Collection
from typing import Final

from tapeline.enums import MarketType
from tapeline.instrument import SYMBOL_PATTERN, UNKNOWN_SYMBOL, Instrument, instrument_of
from tapeline.records import candle
from tapeline.records.reject import Reject

_SYMBOL: Final = re.compile(rb'(?:publicTrade\.|"(?:symbol|s)"\s*:\s*")([A-Za-z0-9._-]{1,40})"')
_TIME: Final = re.compile(rb'"(?:traded_at|T|time)"\s*:\s*"?([0-9]{13})(?![0-9])')
_VENUE: Final = re.compile(rb'"venue"\s*:\s*"([a-z0-9_-]{1,16})"')
_MARKET_TYPE: Final = re.compile(rb'"market_type"\s*:\s*"(%s)"' % "|".join(MarketType).encode())


def attribute(
    raw: bytes,
    fallback_ms: int,
    venues: Collection[str],
    market_type: str | None = None,
    symbol: str | None = None,
) -> tuple[list[Instrument], int]:
    """Return the instruments and the start of the minute that an unreadable value counts for.

    Args:
        raw: bytes of the value.
        fallback_ms: time of the reject or the record, for bytes without a readable time, ms UTC.
        venues: where the value can come from; one of them, if the bytes say which.
        market_type: if known; otherwise read from the bytes, or every market type if they hold none.
        symbol: if known; otherwise read from the bytes, or UNKNOWN_SYMBOL if they hold none.
    """
    if (found := _VENUE.search(raw)) and found[1].decode() in venues:
        venues = (found[1].decode(),)
    if market_type is None:
        found = _MARKET_TYPE.search(raw)
        market_types = (found[1].decode(),) if found else tuple(MarketType)
    else:
        market_types = (market_type,)
    if symbol is None or not re.fullmatch(SYMBOL_PATTERN, symbol):
        found = _SYMBOL.search(raw)
        symbol = found[1].decode() if found else UNKNOWN_SYMBOL
    timestamp = _TIME.search(raw)
    at_ms = int(timestamp[1]) if timestamp else fallback_ms
    # A timestamp far from the clock may be the reason for the reject.
    if abs(at_ms - fallback_ms) > 24 * 60 * candle.MINUTE_MS:
        at_ms = fallback_ms
    instruments = [instrument_of(venue, one, symbol) for venue in venues for one in market_types]
    return instruments, at_ms - at_ms % candle.MINUTE_MS


def attribute_report(value: bytes, written_ms: int, venues: Collection[str]) -> tuple[list[Instrument], int]:
    """Return what a record of names.TOPIC_REJECTS counts for, as `attribute`.

    Args:
        value: value of the record.
        written_ms: record timestamp, ms UTC.
        venues: as `attribute`.
    """
    try:
        reject = Reject.model_validate_json(value)
        raw = base64.b64decode(reject.raw_base64)
    except ValueError:
        return attribute(value, written_ms, venues)
    return attribute(raw, reject.rejected_at, venues, reject.market_type)
