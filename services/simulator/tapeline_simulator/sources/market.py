"""The made market as a source: all symbols of a listing, from one seed.

Pure: the caller brings the time. One symbol's behaviour is in book.py.
"""

from collections.abc import Mapping, Sequence

from tapeline_simulator.bybit.frames import Frame, Key, NewerFields
from tapeline_simulator.bybit.instruments import Instrument
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources import listing
from tapeline_simulator.sources.listing import Listing
from tapeline_simulator.sources.market_maker import Book, rpi_of
from tapeline_simulator.sources.source import RUNNING, WAITING, Row


class Market:
    """Implements Source. Each symbol depends on the seed and its own past alone.

    Args:
        seed: decides everything; the same seed makes the same trades after the same delays.
        rate_per_s: mean trades a second over all symbols, if all are subscribed to.
        newer: which of the newer fields the trades carry.
        symbols: what is traded.
    """

    name = "market"

    def __init__(
        self,
        seed: int,
        rate_per_s: float,
        newer: NewerFields,
        symbols: Sequence[Listing] = listing.LISTING,
    ) -> None:
        self._newer = newer
        self._books: dict[Key, Book] = {}
        self._instruments: dict[Key, Instrument] = {}
        self._trading: list[Book] = []
        shares = sum(row.share for row in symbols)
        for number, row in enumerate(symbols, start=1):
            key = (row.market_type, row.symbol)
            rate = rate_per_s * row.share / shares
            self._books[key] = Book(row, number, rate, seed, newer)
            self._instruments[key] = row.instrument(number, rate)

    @property
    def state(self) -> str:
        """Return RUNNING once a symbol trades; a market never ends."""
        return RUNNING if self._trading else WAITING

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Return the listing."""
        return self._instruments

    def listen(self, key: Key, now_ms: int) -> None:
        """Let a symbol trade from now on."""
        book = self._books[key]
        if book not in self._trading:
            book.open(now_ms)
            self._trading.append(book)

    def advance(self, now_ms: int) -> list[Frame]:
        """Make the trades up to and including a time; all symbols in the order of their times."""
        timed = [item for book in self._trading for item in book.orders_until(now_ms)]
        timed.sort(key=lambda item: item[0])
        return [frame for _, frames in timed for frame in frames]

    def skip(self, milliseconds: int) -> None:
        """Put the next order of every symbol off."""
        for book in self._trading:
            book.postpone(milliseconds)

    def resume(self, last: Row, tails: Mapping[Key, Sequence[Row]]) -> None:
        """Go on with the prices, ids and sequences of the ledger.

        Raises:
            ForeignLedger: it holds a symbol that is not listed, or an id this market cannot have given.
        """
        for key, rows in tails.items():
            if key not in self._books:
                raise ForeignLedger(f"symbol {key} of the ledger", "not one of the made market")
            self._books[key].resume(rows)

    def is_rpi(self, key: Key, trade_id: str) -> bool | None:
        """Return what the id decides."""
        return rpi_of(trade_id) if self._newer.rpi else None

    def is_block_trade(self, key: Key, trade_id: str) -> bool:
        """Return False: the made market has no block trades."""
        return False
