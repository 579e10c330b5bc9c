"""One symbol at two venues and in two market types: what keys must keep apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tapeline.model import features
from tapeline_spark.kafka.decode import DecodedTrade
from tapeline_spark.trades.lookback import LookbackState

from unit.spark.trade_factories import START_MS, record, value

TOPICS = {"bybit": "bybit-trades", "okx": "okx-trades"}
INSTRUMENTS = [(venue, market_type) for venue in TOPICS for market_type in ("spot", "linear")]
Outcome = dict[str, tuple[dict[str, Any], list[str], int]]


def _fields(number: int, seed: int) -> dict[str, object]:
    """Return the fields of the trade `number`: every tenth one comes twice, every seventh one is late."""
    rng = np.random.default_rng([seed, number])
    at = number - 1 if number % 10 == 9 else number
    return {
        "trade_id": f"t{at}",
        "traded_at": START_MS + at * 40 - (1_000 if at % 7 == 6 else 0),
        "sequence": at,
        "price": f"{100 + seed + rng.integers(-9, 9) / 100:.2f}",
        "quantity": f"{rng.integers(1, 99) / 10:.1f}",
        "side": ("Buy", "Sell")[rng.integers(2)],
    }


def trades_of_instruments(count: int) -> dict[str, list[DecodedTrade]]:
    """Return trades of each instrument, all in partition 0 of their venue's topic."""
    return {
        f"{venue}:{market_type}:BTCUSDT": [
            record(topic=TOPICS[venue], venue=venue, market_type=market_type, **_fields(number, seed))
            for number in range(count)
        ]
        for seed, (venue, market_type) in enumerate(INSTRUMENTS)
    }


def values_of_topics(count: int) -> dict[str, list[bytes]]:
    """Return the same trades as values of each topic, market types in turn."""
    values: dict[str, list[bytes]] = {topic: [] for topic in TOPICS.values()}
    for number in range(count):
        for seed, (venue, market_type) in enumerate(INSTRUMENTS):
            fields = _fields(number, seed)
            values[TOPICS[venue]].append(value(venue=venue, market_type=market_type, **fields))
    return values


def outcome(records: Sequence[DecodedTrade], cuts: Sequence[int]) -> Outcome:
    """Return by instrument: features by trade id, late ids, number of duplicates. `cuts` bound the batches."""
    state = LookbackState()
    found: Outcome = {}
    for batch in np.split(np.arange(len(records)), cuts):
        part = [records[number] for number in batch]
        admission = state.admit(part)
        matrix, warm = features.compute(admission.trades, admission.rows)
        lines = list(zip(admission.ordered, matrix.tolist(), warm.tolist(), strict=True))
        for name in {_name(item) for item in part}:
            rows, late, duplicates = found.get(name, ({}, [], 0))
            rows |= {item.trade.trade_id: (row, ok) for item, row, ok in lines if _name(item) == name}
            new_late = [item.trade.trade_id for item in admission.late if _name(item) == name]
            mine = [item for item in part if _name(item) == name]
            kept = sum(_name(item) == name for item, _, _ in lines) + len(new_late)
            found[name] = (rows, late + new_late, duplicates + len(mine) - kept)
    return found


def outcomes_alone(by_instrument: Mapping[str, Sequence[DecodedTrade]]) -> Outcome:
    """Return the same with each instrument in a state of its own."""
    return {name: outcome(records, [])[name] for name, records in by_instrument.items()}


def _name(item: DecodedTrade) -> str:
    return f"{item.trade.venue}:{item.trade.market_type}:{item.trade.symbol}"
