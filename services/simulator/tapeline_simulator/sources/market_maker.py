"""Simulates the quotes and taker orders of one symbol of the synthetic market.

Taker orders come in bursts (a Hawkes process: each order makes the next more likely for about a
second). Parent orders are split into many orders of one sign, so that signs persist; orders that
deplete a level move the quotes, and the opposite quote mostly follows, so that persistent signs move the
price; single orders hit either quote, so that prices bounce. A large order sweeps several levels
within one millisecond. The price reverts to the opening price.

Pure: the caller passes the time; one seeded generator draws all random numbers.
To change the behaviour: the constants below; the symbols are in listing.py.
Sources: Lillo & Farmer 2004 (persistent signs), Hawkes 1971 (bursts), Roll 1984 (bounce).
"""

import math
import random
import uuid
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tapeline.enums import MarketType, Side

from tapeline_simulator.bybit.frames import (
    BybitTrade,
    Frame,
    FrameIndex,
    NewerFields,
    TickDirection,
    instrument_of,
    split,
)
from tapeline_simulator.bybit.instruments import decimals
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources.listing import Listing
from tapeline_simulator.sources.source import Row

BRANCHING_RATIO: Final = 0.5
"""Share of orders that an earlier order triggered."""
DECAY_S: Final = 1.2
"""Decay time of the excitation by an order, s."""
FILL_COUNTS: Final = ((0.62, 1, 1), (0.84, 2, 3), (0.97, 4, 8), (1.0, 9, 30))
"""(cumulative probability, minimum, maximum) of the number of fills of one order."""
MEAN_FILL_COUNT: Final = sum(
    (cumulative - before) * (low + high) / 2
    for (cumulative, low, high), before in zip(FILL_COUNTS, (0.0, *(row[0] for row in FILL_COUNTS)), strict=False)
)
LEVEL_SPACING_BP: Final = 0.35
"""Mean distance of two levels, if the tick is finer."""
PARENT_ORDER_DEPLETION: Final = (0.35, 0.55)
"""Probability that an order of a parent depletes its last level: with one fill, with several."""
SINGLE_ORDER_DEPLETION: Final = (0.08, 0.2)
"""The same for an order without a parent."""
MAX_PRICE_RATIO: Final = 2.0
"""A price stays within opening price / MAX_PRICE_RATIO and opening price * MAX_PRICE_RATIO."""
FIRST_SPOT_ID: Final = 2_290_000_000_000_000_000
_ID_NAMESPACE: Final = uuid.UUID("6f0c2f6e-4b57-5d43-9f0e-2d3f7c1a9b10")


def rpi_of(trade_id: str) -> bool:
    """Return whether a simulated trade is a retail price improvement: about one in thirty, by its id."""
    return zlib.crc32(trade_id.encode()) % 31 == 0


class MarketMaker:
    """State of one symbol: the best quotes in ticks, the order flow, and the trade ids."""

    def __init__(self, row: Listing, number: int, rate_per_s: float, seed: int, newer: NewerFields) -> None:
        self._row, self._seed, self._newer = row, seed, newer
        self.instrument = instrument_of(row.market_type, row.symbol)
        self._is_spot = row.market_type is MarketType.SPOT
        self._base_per_ms = rate_per_s / MEAN_FILL_COUNT * (1 - BRANCHING_RATIO) / 1000
        self._excess_per_ms = 0.0
        self._price_decimals = decimals(row.tick_size)
        self._quantity_decimals = decimals(row.quantity_step)
        self._tick_units = self._units(row.tick_size)
        self._opening_level = self._units(row.price) // self._tick_units
        self._lowest, self._highest = (
            int(self._opening_level / MAX_PRICE_RATIO),
            int(self._opening_level * MAX_PRICE_RATIO),
        )
        self._bid, self._ask = self._opening_level, self._opening_level + 1
        self._parent_sign, self._parent_left = 1, 0
        self._mu = math.log(row.notional) - 0.5
        self._next_ms = math.inf
        self._earliest_ms = 0
        self._sequence = 115_058_640_184 + number * 1_000_003
        self._spot_id = FIRST_SPOT_ID + number * 50_000_000
        self._uuid = uuid.uuid5(_ID_NAMESPACE, f"{seed}|{row.market_type}|{row.symbol}")
        self._direction, self._index = TickDirection(), FrameIndex()
        self._random = self._seeded("")

    def _seeded(self, last_id: str) -> random.Random:
        return random.Random(f"{self._seed}|{(str(self._row.market_type), self._row.symbol)}|{last_id}")

    def _units(self, price: str) -> int:
        return int(Decimal(price).scaleb(self._price_decimals))

    def open(self, now_ms: int) -> None:
        """Start trading: schedule the first order."""
        self._next_ms = max(now_ms, self._earliest_ms)
        # Stationary start: the mean rate holds from the first order.
        self._excess_per_ms = self._base_per_ms * BRANCHING_RATIO / (1 - BRANCHING_RATIO)
        self._schedule()

    def postpone(self, milliseconds: int) -> None:
        """Postpone the next order."""
        self._next_ms += milliseconds

    def resume(self, rows: Sequence[Row]) -> None:
        """Continue after rows of the ledger, oldest first, at least one.

        Raises:
            ForeignLedger: a trade id has another format.
        """
        last = rows[-1]
        try:
            if self._is_spot:
                self._spot_id = int(last["trade_id"])
            else:
                self._uuid = uuid.UUID(last["trade_id"])
        except ValueError:
            raise ForeignLedger(f"trade_id {last['trade_id']!r}", "not one of the synthetic market") from None
        for row in rows:
            self._direction.next_direction(self._units(row["price"]))
        ticks = self._units(last["price"]) // self._tick_units
        self._bid, self._ask = (ticks - 1, ticks) if last["side"] == Side.BUY else (ticks, ticks + 1)
        self._sequence = max(self._sequence, last["sequence"] or 0)
        self._earliest_ms = last["traded_at"] + 1
        self._random = self._seeded(last["trade_id"])

    def orders_until(self, now_ms: int) -> list[tuple[int, list[Frame]]]:
        """Return (time, frames) of each taker order up to and including a time."""
        orders = []
        while self._next_ms <= now_ms:
            orders.append((int(self._next_ms), self._order(int(self._next_ms))))
            self._excess_per_ms += BRANCHING_RATIO / DECAY_S / 1000
            self._schedule()
        return orders

    def _schedule(self) -> None:
        """Draw the time of the next order, by Ogata's thinning."""
        rng = self._random
        while True:
            ceiling = self._base_per_ms + self._excess_per_ms
            pause_ms = rng.expovariate(ceiling)
            self._next_ms += pause_ms
            self._excess_per_ms *= math.exp(-pause_ms / (DECAY_S * 1000))
            if rng.random() * ceiling <= self._base_per_ms + self._excess_per_ms:
                return

    def _sign(self) -> int:
        """Return 1 if the next taker buys, else -1."""
        rng = self._random
        displacement = math.log((self._bid + self._ask) / (2 * self._opening_level)) / math.log(MAX_PRICE_RATIO)
        if abs(displacement) > 0.9:
            return -1 if displacement > 0 else 1
        if self._parent_left == 0 and rng.random() < 0.1:
            self._parent_sign = 1 if rng.random() < 0.5 - 0.5 * displacement else -1
            self._parent_left = min(200, 3 + int(3 * rng.paretovariate(1.4)))
        if self._parent_left > 0 and rng.random() < 0.75:
            self._parent_left -= 1
            return self._parent_sign
        return 1 if rng.random() < 0.5 - 0.5 * displacement else -1

    def _next_level(self, level: int, sign: int) -> int:
        """Return the next level, above for a buyer; never beyond MAX_PRICE_RATIO."""
        mean = level * LEVEL_SPACING_BP / 1e4
        spacing = 1 if mean <= 1 else 1 + int(self._random.expovariate(1 / mean))
        return min(max(level + sign * spacing, self._lowest), self._highest)

    def _order(self, traded_at: int) -> list[Frame]:
        rng, sign = self._random, self._sign()
        self._close_spread(sign)
        chance, count = rng.random(), 1
        for cumulative, low, high in FILL_COUNTS:
            if chance < cumulative:
                count = low if low == high else rng.randint(low, high)
                break
        self._sequence += 2 + int(rng.expovariate(1 / 40))
        if rng.random() < 0.3:
            self._spot_id += int(rng.expovariate(1 / 8))
        level = self._ask if sign > 0 else self._bid
        trades = []
        for number in range(count):
            trades.append(self._fill(traded_at, level, sign))
            if number + 1 < count and rng.random() < 0.15:
                level = self._next_level(level, sign)
        self._requote(level, sign, count)
        return list(split(self.instrument, trades, rng.randint(1, 3)))

    def _close_spread(self, sign: int) -> None:
        """Close a wide spread: the opposite quote follows, or the quote on the side of the order returns."""
        if self._ask - self._bid > 1 and self._random.random() < 0.6:
            if (sign > 0) == (self._random.random() < 0.7):
                self._bid = self._ask - 1
            else:
                self._ask = self._bid + 1

    def _requote(self, level: int, sign: int, fills: int) -> None:
        """Move the quotes: the last level may be depleted, and the opposite quote mostly follows."""
        rng = self._random
        # An order of a parent depletes the level more often than a single order.
        is_parent_order = self._parent_left > 0 and sign == self._parent_sign
        is_depleted = rng.random() < (PARENT_ORDER_DEPLETION if is_parent_order else SINGLE_ORDER_DEPLETION)[fills > 1]
        best = self._next_level(level, sign) if is_depleted else level
        opposite_follows = rng.random() < 0.75
        if sign > 0:
            self._ask = best
            self._bid = best - 1 if opposite_follows else min(self._bid, best - 1)
        else:
            self._bid = best
            self._ask = best + 1 if opposite_follows else max(self._ask, best + 1)

    def _fill(self, traded_at: int, level: int, sign: int) -> BybitTrade:
        sequence = self._sequence if self._newer.sequence else None
        units = level * self._tick_units
        trade_id = self._next_id()
        return BybitTrade(
            trade_id,
            traded_at,
            _decimal_text(units, self._price_decimals),
            self._quantity(units),
            Side.BUY if sign > 0 else Side.SELL,
            sequence,
            self._index.next_index(traded_at, sequence),
            self._direction.next_direction(units) if not self._is_spot else None,
            False,
            rpi_of(trade_id) if self._newer.rpi else None,
        )

    def _next_id(self) -> str:
        if self._is_spot:
            self._spot_id += 1
            return str(self._spot_id)
        # Each id derives from the previous one: a restart needs only the last id, and ids are unique.
        self._uuid = uuid.uuid5(self._uuid, self._row.symbol)
        return str(self._uuid)

    def _quantity(self, units: int) -> str:
        notional = self._random.lognormvariate(self._mu, 1.0)
        # Inverse counts in USD.
        price = 1 if self._row.market_type is MarketType.INVERSE else units / 10**self._price_decimals
        steps = max(1, round(notional / price * 10**self._quantity_decimals))
        text = _decimal_text(steps, self._quantity_decimals)
        # Spot writes 0.0008 where a derivative writes 1.30.
        return text.rstrip("0").rstrip(".") if self._is_spot and "." in text else text


def _decimal_text(units: int, places: int) -> str:
    """Return units of 10**-places as plain decimal text."""
    if places == 0:
        return str(units)
    whole, rest = divmod(units, 10**places)
    return f"{whole}.{rest:0{places}d}"
