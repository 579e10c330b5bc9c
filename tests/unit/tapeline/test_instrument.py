"""The key of every state."""

import os
import subprocess
import sys
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapeline.enums import MarketType
from tapeline.instrument import Instrument, instrument_of

PRINTABLE = st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="|")
SYMBOLS = st.text(PRINTABLE, min_size=1, max_size=64)
IMPORTS = "import pickle, sys; from tapeline.instrument import instrument_of"
PICKLING = f"{IMPORTS}; sys.stdout.buffer.write(pickle.dumps(instrument_of('bybit', 'spot', 'BTCUSDT')))"
UNPICKLING = f"{IMPORTS}; assert pickle.load(sys.stdin.buffer) in {{instrument_of('bybit', 'spot', 'BTCUSDT')}}"


def test_its_text_is_venue_market_type_and_symbol() -> None:
    assert str(Instrument("bybit", MarketType.SPOT, "BTCUSDT")) == "bybit:spot:BTCUSDT"


@pytest.mark.parametrize("symbol", ["BTC/USD", "BTC/USD:USD", "a:b:c", "1000PEPE-PERP", "ü"])
def test_a_symbol_may_hold_slashes_and_colons(symbol: str) -> None:
    assert Instrument.parse(f"kraken:linear:{symbol}") == Instrument("kraken", MarketType.LINEAR, symbol)


@given(SYMBOLS, st.sampled_from(MarketType))
def test_text_and_url_lead_back_to_the_instrument(symbol: str, market_type: MarketType) -> None:
    instrument = Instrument("bybit", market_type, symbol)
    assert Instrument.parse(str(instrument)) == instrument
    assert Instrument.parse_url_path(instrument.url_path) == instrument
    assert "/" not in instrument.url_path and unquote(instrument.url_path) == str(instrument)


def test_a_percent_sign_in_a_symbol_is_decoded_once() -> None:
    instrument = Instrument("bybit", MarketType.SPOT, "A%2FB")
    assert Instrument.parse_url_path(instrument.url_path).symbol == "A%2FB"


@pytest.mark.parametrize("symbol", ["", "A|B", "A B", "A\n", "\u00a0", "A\x00", "A\x85", "A" * 65])
def test_a_symbol_that_would_break_an_identity_is_refused_by_name(symbol: str) -> None:
    with pytest.raises(ValueError, match="symbol of an instrument was"):
        Instrument("bybit", MarketType.SPOT, symbol)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("BTCUSDT", "venue:market_type:symbol"), ("bybit:option:BTC", "market type was 'option'"), (":spot:A", "venue")],
)
def test_a_text_that_names_no_instrument_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Instrument.parse(text)


def test_instruments_sort_by_venue_then_market_type_then_symbol() -> None:
    texts = ["bybit:linear:A", "bybit:linear:B", "bybit:spot:A", "kraken:inverse:A"]
    assert [str(one) for one in sorted(map(Instrument.parse, reversed(texts)))] == texts


def test_one_symbol_in_two_markets_and_two_venues_is_four_keys() -> None:
    keys = {instrument_of(v, m, "BTCUSDT") for v in ("bybit", "twin") for m in ("spot", "linear")}
    assert len(keys) == 4


def test_an_instrument_from_another_process_is_the_same_key() -> None:
    pickled = subprocess.run(
        [sys.executable, "-c", PICKLING], env={**os.environ, "PYTHONHASHSEED": "1"}, capture_output=True, check=True
    ).stdout
    found = subprocess.run(
        [sys.executable, "-c", UNPICKLING], input=pickled, env={**os.environ, "PYTHONHASHSEED": "2"}, check=False
    )
    assert found.returncode == 0
