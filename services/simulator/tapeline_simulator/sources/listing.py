"""Listing of the synthetic market: symbols and their parameters.

Pure data. To add a symbol: add a row to LISTING; its share is relative to the other rows. INVERSE_LISTING is
traded only where the settings say so.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tapeline.enums import MarketType

from tapeline_simulator.bybit.instruments import InstrumentInfo, plain

SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of the synthetic market.

    Attributes:
        market_type: the category.
        base_coin: base coin.
        tick_size: decimal text, step of the price.
        quantity_step: decimal text, step of the quantity; of inverse in USD.
        price: decimal text, opening price and mean-reversion level.
        share: share of trades, relative to the other rows.
        notional: mean size of a fill, in the quote coin.
    """

    market_type: MarketType
    base_coin: str
    tick_size: str
    quantity_step: str
    price: str
    share: float
    notional: float

    @property
    def symbol(self) -> str:
        """Return the symbol."""
        return f"{self.base_coin}{self.quote_coin}"

    @property
    def quote_coin(self) -> str:
        """Return the quote coin."""
        return "USD" if self.market_type is MarketType.INVERSE else "USDT"

    def info(self, symbol_id: int, rate_per_s: float) -> InstrumentInfo:
        """Return the instrument; the daily turnover follows from rate and size.

        Args:
            symbol_id: age of the listing.
            rate_per_s: mean trades a second of this symbol.
        """
        in_quote = Decimal(round(rate_per_s * self.notional * SECONDS_A_DAY, 2)).quantize(Decimal("0.01"))
        in_base = in_quote / Decimal(self.price)
        # Bybit counts the turnover of inverse in the base coin, and the volume in USD.
        is_inverse = self.market_type is MarketType.INVERSE
        turnover = in_base.quantize(Decimal("1e-8")) if is_inverse else in_quote
        volume = (in_quote if is_inverse else in_base).quantize(Decimal(self.quantity_step))
        return InstrumentInfo(
            market_type=self.market_type,
            symbol=self.symbol,
            symbol_id=symbol_id,
            base_coin=self.base_coin,
            quote_coin=self.quote_coin,
            tick_size=self.tick_size,
            quantity_step=self.quantity_step,
            open_price=self.price,
            turnover_24h=plain(turnover),
            volume_24h=plain(volume),
        )


_SPOT, _LINEAR, _INVERSE = MarketType
LISTING: Final = (
    Listing(_SPOT, "BTC", "0.1", "0.000001", "83805.1", 180, 900),
    Listing(_SPOT, "ETH", "0.01", "0.00001", "1923.28", 120, 600),
    Listing(_SPOT, "SOL", "0.01", "0.001", "77.31", 80, 350),
    Listing(_SPOT, "XRP", "0.0001", "0.01", "2.1427", 60, 300),
    Listing(_SPOT, "DOGE", "0.00001", "0.1", "0.07054", 50, 220),
    Listing(_SPOT, "PEPE", "0.000000001", "1", "0.000007123", 30, 150),
    Listing(_SPOT, "LTC", "0.01", "0.00001", "83.29", 20, 180),
    Listing(_SPOT, "BNB", "0.1", "0.0001", "612.4", 16, 260),
    Listing(_SPOT, "ADA", "0.0001", "0.01", "0.4312", 12, 120),
    Listing(_SPOT, "LINK", "0.001", "0.001", "14.207", 8, 140),
    Listing(_SPOT, "YFI", "1", "0.00001", "5127", 1.6, 90),
    Listing(_SPOT, "KSM", "0.01", "0.001", "18.44", 1.1, 70),
    Listing(_LINEAR, "BTC", "0.10", "0.001", "83766.30", 240, 2500),
    Listing(_LINEAR, "ETH", "0.01", "0.01", "1922.50", 150, 1500),
    Listing(_LINEAR, "SOL", "0.010", "0.1", "77.300", 80, 700),
    Listing(_LINEAR, "DOGE", "0.00001", "1", "0.07052", 50, 400),
)
INVERSE_LISTING: Final = (
    Listing(_INVERSE, "BTC", "0.10", "1", "83770.10", 40, 1800),
    Listing(_INVERSE, "ETH", "0.01", "1", "1922.80", 25, 900),
)
