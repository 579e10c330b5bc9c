"""Runs the queries of all panels: builds the requests, sends them, and parses the responses."""

import asyncio
from collections.abc import Callable

from tapeline.instrument import Instrument

from tapeline_board.api.query_params import Filters, Span, interval_ms, latest_minutes
from tapeline_board.api.schemas.alerts import AlertsResponse, GapsResponse
from tapeline_board.api.schemas.market import CandlesResponse, MarkersResponse, SymbolsResponse, TapeResponse
from tapeline_board.api.schemas.model import ModelResponse
from tapeline_board.api.schemas.reconciliation import ReconciliationResponse
from tapeline_board.clients.elasticsearch import ElasticsearchClient
from tapeline_board.clients.inference import InferenceClient
from tapeline_board.clients.search import Body, documents
from tapeline_board.panels import alerts, candles, gaps, market, model, reconciliation, symbols, tape
from tapeline_board.panels.market import MarketBuckets
from tapeline_board.panels.market_state import MarketState


class Reader:
    """Runs queries; stateless."""

    def __init__(
        self, elasticsearch: ElasticsearchClient, inference: InferenceClient, clock_ms: Callable[[], int]
    ) -> None:
        """Read from both clients.

        Args:
            elasticsearch: documents.
            inference: the served model.
            clock_ms: our clock, ms UTC.
        """
        self._search, self._inference, self.clock_ms = elasticsearch.search, inference, clock_ms

    async def symbols(self) -> SymbolsResponse:
        """Return the instruments of the last hour."""
        now_ms = self.clock_ms()
        span = latest_minutes(now_ms, symbols.MINUTES)
        hour, newest = await asyncio.gather(
            self._search("symbols", symbols.hour_request(span)),
            self._search("newest", symbols.newest_request(now_ms)),
        )
        return symbols.symbols_response(span, hour, newest)

    async def candles(self, instrument: Instrument, span: Span) -> CandlesResponse:
        """Return one instrument's candles of a span."""
        found = await self._search("candles", candles.span_request(span, instrument))
        return candles.candles_response(instrument, documents(found))

    async def recent_candles(self, instrument: Instrument) -> list[Body]:
        """Return one instrument's newest candles as documents, newest first."""
        return documents(await self._search("candles", candles.recent_request(instrument)))

    async def changed_candles(self, instrument: Instrument, since_ms: int) -> list[Body]:
        """Return one instrument's recently written candles as documents, newest first."""
        return documents(await self._search("candles", candles.changed_request(instrument, since_ms)))

    async def markers(self, instrument: Instrument, span: Span) -> MarkersResponse:
        """Return predictions and outcomes of each minute of a span."""
        predicted, scored = await asyncio.gather(
            self._search("predicted", candles.predicted_request(span, instrument)),
            self._search("scored", candles.scored_request(span, instrument)),
        )
        return candles.markers_response(instrument, predicted, scored)

    async def market(self, filters: Filters, span: Span) -> MarketState:
        """Return the six views of a span."""
        found = await self._search("ranking", market.ranking_request(span, filters))
        ranking, step_ms = market.parse_ranking(found), interval_ms(span)
        return MarketState(
            span, step_ms, ranking, await self.market_buckets(filters, span, step_ms, ranking.instruments)
        )

    async def market_buckets(
        self, filters: Filters, span: Span, step_ms: int, instruments: tuple[Instrument, ...]
    ) -> MarketBuckets:
        """Return the buckets of some instruments in a span."""
        found = await self._search("market", market.buckets_request(span, filters, step_ms, instruments))
        return market.parse_buckets(found, instruments)

    async def tape(self, filters: Filters, span: Span | None = None, limit: int = tape.ROWS) -> TapeResponse:
        """Return the newest trades."""
        return tape.tape_response(await self._search("tape", tape.tape_request(filters, span, limit)), limit)

    async def model(self) -> ModelResponse:
        """Return the served model, the scores of the last hour and the last training runs."""
        now_ms = self.clock_ms()
        span = latest_minutes(now_ms, model.MINUTES)
        served, scores, states, runs = await asyncio.gather(
            self._inference.get_model(),
            self._search("scores", model.scores_request(span)),
            self._search("states", model.states_request(now_ms)),
            self._search("training_runs", model.training_runs_request()),
        )
        return model.model_response(span, served, scores, states, runs)

    async def reconciliation(self, filters: Filters, span: Span) -> ReconciliationResponse:
        """Return the reconciliation of a span."""
        found, rejected = await asyncio.gather(
            self._search("reconciliation", reconciliation.counts_request(span, filters)),
            self._search("rejects", reconciliation.rejects_request(span)),
        )
        return reconciliation.reconciliation_response(span, self.clock_ms(), found, rejected)

    async def gaps(self, filters: Filters, span: Span) -> GapsResponse:
        """Return the gaps that touch a span."""
        return gaps.gaps_response(await self._search("gaps", gaps.gaps_request(span, filters)))

    async def alerts(self, filters: Filters, span: Span) -> AlertsResponse:
        """Return the alerts of a span."""
        return alerts.alerts_response(await self._search("alerts", alerts.alerts_request(span, filters)))
