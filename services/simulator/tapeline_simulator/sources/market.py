"""Trade source of the synthetic market: all symbols of a listing, from one seed.

Pure: the caller passes the time. One symbol is in market_maker.py.
"""

from collections.abc import Mapping, Sequence

from tapeline.instrument import Instrument

from tapeline_simulator.bybit.frames import Frame, NewerFields, instrument_of
from tapeline_simulator.bybit.instruments import InstrumentInfo
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources import listing
from tapeline_simulator.sources.listing import Listing
from tapeline_simulator.sources.market_maker import MarketMaker, rpi_of
from tapeline_simulator.sources.source import RUNNING, WAITING, Row


class SyntheticMarket:
    """Implements TradeSource. Each symbol depends only on the seed and its own history.

    Args:
        seed: the same seed produces the same trades after the same delays.
        rate_per_s: mean trades a second over all symbols, if all are subscribed to.
        newer: which of the newer fields the trades have.
        symbols: the listing.
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
        self._market_makers: dict[Instrument, MarketMaker] = {}
        self._instruments: dict[Instrument, InstrumentInfo] = {}
        self._trading: list[MarketMaker] = []
        shares = sum(row.share for row in symbols)
        for number, row in enumerate(symbols, start=1):
            instrument = instrument_of(row.market_type, row.symbol)
            rate = rate_per_s * row.share / shares
            self._market_makers[instrument] = MarketMaker(row, number, rate, seed, newer)
            self._instruments[instrument] = row.info(number, rate)

    @property
    def state(self) -> str:
        """Return RUNNING once a symbol trades; the synthetic market never ends."""
        return RUNNING if self._trading else WAITING

    @property
    def instruments(self) -> Mapping[Instrument, InstrumentInfo]:
        """Return the listing."""
        return self._instruments

    def on_subscribe(self, instrument: Instrument, now_ms: int) -> None:
        """Start trading of a symbol."""
        market_maker = self._market_makers[instrument]
        if market_maker not in self._trading:
            market_maker.open(now_ms)
            self._trading.append(market_maker)

    def advance(self, now_ms: int) -> list[Frame]:
        """Return the frames up to and including a time, ordered by time over all symbols."""
        timed = [item for market_maker in self._trading for item in market_maker.orders_until(now_ms)]
        timed.sort(key=lambda item: item[0])
        return [frame for _, frames in timed for frame in frames]

    def skip(self, milliseconds: int) -> None:
        """Postpone the next order of every symbol."""
        for market_maker in self._trading:
            market_maker.postpone(milliseconds)

    def resume(self, last: Row, recent_rows: Mapping[Instrument, Sequence[Row]]) -> None:
        """Continue after the prices, ids and sequences of the ledger.

        Raises:
            ForeignLedger: the ledger has an unlisted symbol, or a trade id of another format.
        """
        for instrument, rows in recent_rows.items():
            if instrument not in self._market_makers:
                raise ForeignLedger(f"instrument {instrument} of the ledger", "not one of the synthetic market")
            self._market_makers[instrument].resume(rows)

    def is_rpi(self, instrument: Instrument, trade_id: str) -> bool | None:
        """Return the flag that follows from the trade id."""
        return rpi_of(trade_id) if self._newer.rpi else None

    def is_block_trade(self, instrument: Instrument, trade_id: str) -> bool:
        """Return False: the synthetic market has no block trades."""
        return False
