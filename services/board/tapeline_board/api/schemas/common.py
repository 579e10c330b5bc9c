"""Types that several topics share, the error response, and the status of Elasticsearch.

Rules of all schemas: times are ms UTC and end in `at`, `from` or `to`; a list is bounded, and `is_truncated` says that
rows are missing; an unknown number is null, never zero. To add a field: add it to its schema, fill it in where the
panel parses the response of Elasticsearch, and generate the front end's types again (api/typescript.py).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from tapeline.enums import MarketType
from tapeline.instrument import Instrument, instrument_of

EventName = Literal["status", "symbols", "tape", "candle", "market", "model", "reconciliation", "alerts", "failed"]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ApiModel(BaseModel):
    """Base of all responses and events."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InstrumentRow(ApiModel):
    """Base of rows about one instrument."""

    venue: str
    market_type: MarketType
    symbol: str

    @property
    def instrument(self) -> Instrument:
        """Whose row it is."""
        return instrument_of(self.venue, self.market_type, self.symbol)


class ErrorResponse(ApiModel):
    """Error response body."""

    error: str
    """Code for programs: `elasticsearch_unavailable`, `elasticsearch_timeout`, `invalid_query`, `too_many_clients`,
    `not_found`."""
    message: str
    """For people."""


class StatusResponse(ApiModel):
    """GET /api/status and event `status`: the first event of every stream, then one for each change."""

    at: int
    """By the server's clock."""
    elasticsearch: Literal["available", "unavailable"]
    reason: str | None
    """Why Elasticsearch is unavailable, for people."""
    since_at: int
    """When the current state began."""


class FailedEvent(ApiModel):
    """Event `failed`: a query of the stream failed; the next event of the same name ends the failure."""

    event: EventName
    error: str
    """Code as in ErrorResponse, such as `elasticsearch_timeout`."""
    message: str
