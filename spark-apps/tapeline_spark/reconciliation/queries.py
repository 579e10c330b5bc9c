"""Elasticsearch queries of the reconciler: returns plain values. The rule is in rule.py, retries in elastic/sink.py."""

from collections.abc import Sequence
from typing import Any

from tapeline import names
from tapeline.instrument import Instrument
from tapeline.records import reconciliation

from tapeline_spark.minutes.trade_counts import TradeCountQueries


class ReconciliationQueries(TradeCountQueries):
    """Counts of trade documents, and stored reconciliation documents."""

    def stored_documents(
        self, minutes: Sequence[tuple[Instrument, int]]
    ) -> dict[tuple[Instrument, int], dict[str, Any]]:
        """Return the stored reconciliation documents of some instruments and minutes."""
        if not minutes:
            return {}
        wanted = [
            {
                "_index": names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms),
                "_id": reconciliation.identity(instrument, minute_ms),
            }
            for instrument, minute_ms in minutes
        ]
        response = self._sink.query(lambda client: client.mget(docs=wanted))
        pairs = zip(minutes, response["docs"], strict=True)
        return {minute: found["_source"] for minute, found in pairs if found.get("found")}
