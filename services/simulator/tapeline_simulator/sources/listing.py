"""Listing of the synthetic market: symbols and their parameters.

Pure data. To add a symbol: add a row to LISTING; its share is relative to the other rows.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tapeline_simulator.bybit.instruments import Instrument, plain

SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of the synthetic market.

    Attributes:
        market_type: "spot" or "linear".
        base_coin: base coin; the quote coin is USDT.
        tick_size: decimal text, step of the price.
        quantity_step: decimal text, step of the quantity.
        price: decimal text, opening price and mean-reversion level.
        share: share of trades, relative to the other rows.
        notional: mean size of a fill, in USDT.
    """

    market_type: str
    base_coin: str
    tick_size: str
    quantity_step: str
    price: str
    share: float
    notional: float

    @property
    def symbol(self) -> str:
        """Return the symbol."""
        return f"{self.base_coin}USDT"

    def instrument(self, symbol_id: int, rate_per_s: float) -> Instrument:
        """Return the instrument; the daily turnover follows from rate and size.

        Args:
            symbol_id: age of the listing.
            rate_per_s: mean trades a second of this symbol.
        """
        turnover = Decimal(round(rate_per_s * self.notional * SECONDS_A_DAY, 2)).quantize(Decimal("0.01"))
        return Instrument(
            market_type=self.market_type,
            symbol=self.symbol,
            symbol_id=symbol_id,
            base_coin=self.base_coin,
            quote_coin="USDT",
            tick_size=self.tick_size,
            quantity_step=self.quantity_step,
            open_price=self.price,
            turnover_24h=plain(turnover),
            volume_24h=plain((turnover / Decimal(self.price)).quantize(Decimal(self.quantity_step))),
        )


LISTING: Final = (
    Listing("spot", "BTC", "0.1", "0.000001", "83805.1", 180, 900),
    Listing("spot", "ETH", "0.01", "0.00001", "1923.28", 120, 600),
    Listing("spot", "SOL", "0.01", "0.001", "77.31", 80, 350),
    Listing("spot", "XRP", "0.0001", "0.01", "2.1427", 60, 300),
    Listing("spot", "DOGE", "0.00001", "0.1", "0.07054", 50, 220),
    Listing("spot", "PEPE", "0.000000001", "1", "0.000007123", 30, 150),
    Listing("spot", "LTC", "0.01", "0.00001", "83.29", 20, 180),
    Listing("spot", "BNB", "0.1", "0.0001", "612.4", 16, 260),
    Listing("spot", "ADA", "0.0001", "0.01", "0.4312", 12, 120),
    Listing("spot", "LINK", "0.001", "0.001", "14.207", 8, 140),
    Listing("spot", "YFI", "1", "0.00001", "5127", 1.6, 90),
    Listing("spot", "KSM", "0.01", "0.001", "18.44", 1.1, 70),
    Listing("linear", "BTC", "0.10", "0.001", "83766.30", 240, 2500),
    Listing("linear", "ETH", "0.01", "0.01", "1922.50", 150, 1500),
    Listing("linear", "SOL", "0.010", "0.1", "77.300", 80, 700),
    Listing("linear", "DOGE", "0.00001", "1", "0.07052", 50, 400),
)
