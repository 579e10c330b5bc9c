"""Every question of the page with its answer: builders and readers of the pure modules around `Elastic.search`."""

import asyncio
from collections.abc import Callable

from tapeline_board.api.query_params import Filters, Span, interval_ms, minutes_until
from tapeline_board.api.schemas.judgement import AlertsAnswer, CompletenessAnswer, GapsAnswer, ModelAnswer
from tapeline_board.api.schemas.market import CandlesAnswer, MarkersAnswer, SymbolsAnswer, TapeAnswer
from tapeline_board.clients.elasticsearch import Elastic
from tapeline_board.clients.inference import Inference
from tapeline_board.clients.search import Body, sources
from tapeline_board.panels import (
    candles as chart,
)
from tapeline_board.panels import (
    market,
    model,
    reconciliation,
    records,
    symbols,
    tape,
)
from tapeline_board.panels.market import Market, Reading
from tapeline_board.panels.market_state import MarketBook


class Reader:
    """Answers questions; keeps nothing."""

    def __init__(self, elastic: Elastic, inference: Inference, clock_ms: Callable[[], int]) -> None:
        """Read from these.

        Args:
            elastic: documents.
            inference: the served model.
            clock_ms: our clock, ms UTC.
        """
        self._elastic, self._inference, self.clock_ms = elastic, inference, clock_ms

    async def symbols(self) -> SymbolsAnswer:
        """Return the symbols of the last hour."""
        now_ms = self.clock_ms()
        span = minutes_until(now_ms, symbols.MINUTES)
        hour, newest = await asyncio.gather(
            self._elastic.search("symbols", symbols.hour_question(span)),
            self._elastic.search("newest", symbols.newest_question(now_ms)),
        )
        return symbols.answer(span, hour, newest)

    async def candles(self, filters: Filters, span: Span) -> CandlesAnswer:
        """Return one symbol's candles of a span."""
        found = await self._elastic.search("candles", chart.span_question(span, filters))
        return chart.candles(filters, sources(found))

    async def recent_candles(self, filters: Filters) -> list[Body]:
        """Return one symbol's newest candles as documents, newest first."""
        return sources(await self._elastic.search("candles", chart.recent_question(filters)))

    async def changed_candles(self, filters: Filters, since_ms: int) -> list[Body]:
        """Return one symbol's candles that were written lately as documents, newest first."""
        return sources(await self._elastic.search("candles", chart.changed_question(filters, since_ms)))

    async def markers(self, filters: Filters, span: Span) -> MarkersAnswer:
        """Return what was predicted in each minute of a span, and how it turned out."""
        predicted, scored = await asyncio.gather(
            self._elastic.search("predicted", chart.predicted_question(span, filters)),
            self._elastic.search("scored", chart.scored_question(span, filters)),
        )
        return chart.markers(filters, predicted, scored)

    async def market(self, filters: Filters, span: Span) -> MarketBook:
        """Return the six views of a span."""
        found = await self._elastic.search("ranking", market.ranking_question(span, filters))
        ranking, step_ms = market.ranking(found), interval_ms(span)
        return MarketBook(span, step_ms, ranking, await self.market_part(filters, span, step_ms, ranking.markets))

    async def market_part(self, filters: Filters, span: Span, step_ms: int, markets: tuple[Market, ...]) -> Reading:
        """Return the buckets of some symbols in a span."""
        found = await self._elastic.search("market", market.question(span, filters, step_ms, markets))
        return market.reading(found, markets)

    async def tape(self, filters: Filters, span: Span | None = None, limit: int = tape.ROWS) -> TapeAnswer:
        """Return the newest trades."""
        return tape.answer(await self._elastic.search("tape", tape.question(filters, span, limit)), limit)

    async def model(self) -> ModelAnswer:
        """Return the served model, the scores of the last hour and the last verdicts."""
        now_ms = self.clock_ms()
        span = minutes_until(now_ms, model.MINUTES)
        served, scores, states, verdicts = await asyncio.gather(
            self._inference.served(),
            self._elastic.search("scores", model.scores_question(span)),
            self._elastic.search("states", model.states_question(now_ms)),
            self._elastic.search("verdicts", model.verdicts_question()),
        )
        return model.answer(span, served, scores, states, verdicts)

    async def completeness(self, filters: Filters, span: Span) -> CompletenessAnswer:
        """Return the books of a span."""
        found, rejected = await asyncio.gather(
            self._elastic.search("completeness", reconciliation.question(span, filters)),
            self._elastic.search("rejects", reconciliation.rejects_question(span)),
        )
        return reconciliation.answer(span, self.clock_ms(), found, rejected)

    async def gaps(self, filters: Filters, span: Span) -> GapsAnswer:
        """Return the gaps that touch a span."""
        return records.gaps(await self._elastic.search("gaps", records.gaps_question(span, filters)))

    async def alerts(self, filters: Filters, span: Span) -> AlertsAnswer:
        """Return the alerts about a span."""
        return records.alerts(await self._elastic.search("alerts", records.alerts_question(span, filters)))
