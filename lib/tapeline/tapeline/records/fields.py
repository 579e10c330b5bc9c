"""Types of fields that several records have, as pydantic checks them."""

from typing import Annotated

from pydantic import Field

from tapeline import enums, trade

# Not strict: JSON has no enums, so that a text must do.
MarketType = Annotated[enums.MarketType, Field(strict=False)]
EpochMs = Annotated[int, Field(ge=trade.EARLIEST_MS, le=trade.LATEST_MS)]
"""ms UTC, within the times that a trade can have."""
