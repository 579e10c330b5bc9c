"""Instruments, and their description in the REST API.

Pure. The listing of the synthetic market is in sources/listing.py.
Source of the shapes: https://bybit-exchange.github.io/docs/v5/market/instrument, and recorded responses.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tapeline.enums import MarketType

_QUOTES: Final = ("USDT", "USDC", "USD1", "USDE", "USD", "EUR", "BTC", "ETH", "BRL", "GBP")
_COIN_STEP: Final = Decimal("1e-8")
_LAUNCH_MS: Final = "1584230400000"


@dataclass(frozen=True, slots=True)
class InstrumentInfo:
    """One symbol of one category; every amount is decimal text.

    Attributes:
        market_type: the category.
        symbol: upper case, such as "BTCUSDT".
        symbol_id: age of the listing, from 1.
        base_coin: base coin.
        quote_coin: quote coin.
        tick_size: step of the price, with the decimals of prices.
        quantity_step: step of the quantity.
        open_price: price before the first trade.
        turnover_24h: traded per day, in the quote coin; of inverse in the base coin.
        volume_24h: traded per day, in the base coin; of inverse in USD.
    """

    market_type: MarketType
    symbol: str
    symbol_id: int
    base_coin: str
    quote_coin: str
    tick_size: str
    quantity_step: str
    open_price: str
    turnover_24h: str
    volume_24h: str

    def describe(self) -> dict[str, Any]:
        """Return the instruments-info item of its category. It has no volume, as on Bybit."""
        return self._spot() if self.market_type is MarketType.SPOT else self._derivative()

    def _spot(self) -> dict[str, Any]:
        largest = plain(Decimal(self.quantity_step) * 10**8)
        return {
            "symbolId": self.symbol_id,
            "symbol": self.symbol,
            "baseCoin": self.base_coin,
            "quoteCoin": self.quote_coin,
            "innovation": "0",
            "status": "Trading",
            "marginTrading": "utaOnly",
            "stTag": "0",
            "lotSizeFilter": {
                "basePrecision": self.quantity_step,
                "quotePrecision": "0.0000001",
                "minOrderQty": self.quantity_step,
                "maxOrderQty": largest,
                "minOrderAmt": "5",
                "maxOrderAmt": "8000000",
                "maxLimitOrderQty": largest,
                "maxMarketOrderQty": largest,
                "postOnlyMaxLimitOrderSize": largest,
            },
            "priceFilter": {"tickSize": self.tick_size},
            "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
            "symbolType": "",
            "xstockMultiplier": "1",
        }

    def _derivative(self) -> dict[str, Any]:
        largest = plain(Decimal(self.quantity_step) * 10**6)
        is_inverse = self.market_type is MarketType.INVERSE
        return {
            "symbol": self.symbol,
            "contractType": "InversePerpetual" if is_inverse else "LinearPerpetual",
            "status": "Trading",
            "baseCoin": self.base_coin,
            "quoteCoin": self.quote_coin,
            "launchTime": _LAUNCH_MS,
            **{"deliveryTime": "0", "deliveryFeeRate": ""},
            "priceScale": str(decimals(self.tick_size)),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {
                "minPrice": self.tick_size,
                "maxPrice": plain(Decimal(self.tick_size) * 19_999_998),
                "tickSize": self.tick_size,
            },
            "lotSizeFilter": {
                "maxOrderQty": largest,
                "minOrderQty": self.quantity_step,
                "qtyStep": self.quantity_step,
                "postOnlyMaxOrderQty": largest,
                "maxMktOrderQty": largest,
                "minNotionalValue": "5",
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 480,
            "settleCoin": self.base_coin if is_inverse else self.quote_coin,
            "copyTrading": "both",
            "upperFundingRate": "0.005",
            "lowerFundingRate": "-0.005",
            "isPreListing": False,
            "preListingInfo": None,
            "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
            "displayName": "",
            "symbolType": "",
            "forbidUplWithdrawal": False,
            "symbolId": self.symbol_id,
        }


def turnover_of(market_type: MarketType, price: Decimal, quantity: Decimal) -> Decimal:
    """Return the turnover of a trade as Bybit counts it; see InstrumentInfo."""
    if market_type is MarketType.INVERSE:
        return (quantity / price).quantize(_COIN_STEP)
    return price * quantity


def plain(number: Decimal) -> str:
    """Return the number without exponent and without trailing zero decimals."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimals(number: str) -> int:
    """Return the number of decimals."""
    return len(number.partition(".")[2])


def coins(symbol: str) -> tuple[str, str]:
    """Guess base and quote coin of a recorded symbol; recordings do not have them."""
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return symbol[: -len(quote)], quote
    return symbol, "USDT"


def from_trades(
    market_type: MarketType, symbol: str, symbol_id: int, prices_and_quantities: Iterable[tuple[str, str]]
) -> InstrumentInfo:
    """Describe a recorded symbol by its trades: steps from their digits, turnover from their sum.

    Args:
        market_type: the category.
        symbol: the symbol.
        symbol_id: age of the listing.
        prices_and_quantities: decimal texts of all its trades in order, at least one.
    """
    texts = list(prices_and_quantities)
    base_coin, quote_coin = coins(symbol)
    turnover = sum((turnover_of(market_type, Decimal(p), Decimal(q)) for p, q in texts), Decimal(0))
    volume = sum((Decimal(quantity) for _, quantity in texts), Decimal(0))
    return InstrumentInfo(
        market_type=market_type,
        symbol=symbol,
        symbol_id=symbol_id,
        base_coin=base_coin,
        quote_coin=quote_coin,
        tick_size=_step(price for price, _ in texts),
        quantity_step=_step(quantity for _, quantity in texts),
        open_price=texts[0][0],
        turnover_24h=plain(turnover),
        volume_24h=plain(volume),
    )


def _step(texts: Iterable[str]) -> str:
    places = max(decimals(text) for text in texts)
    return format(Decimal(1).scaleb(-places), "f")
