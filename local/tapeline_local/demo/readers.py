"""Reads the inputs of reconcile.py: the simulator's ledger, and the trade and gap documents."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records.gap import Gap

from tapeline_local.demo.reconcile import IndexedGap, IndexedTrade, LedgerTrade

_PAGE = 5_000
_KEEP_ALIVE = "2m"


def read_ledger(path: Path) -> Iterator[LedgerTrade]:
    """Yield the rows of the ledger in file order; an incomplete last line is skipped.

    Raises:
        ValueError: a complete line is not JSON.
    """
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield parse_row(json.loads(line))


def parse_row(row: dict[str, Any]) -> LedgerTrade:
    """Return a row of the ledger as an input of the reconciliation."""
    instrument = _instrument(row)
    identity = names.identity(instrument.venue, instrument.market_type, instrument.symbol, row["trade_id"])
    return LedgerTrade(identity, instrument, row["traded_at"], row["price"], row["quantity"], row["side"])


def _instrument(fields: dict[str, Any]) -> Instrument:
    return instrument_of(fields["venue"], fields["market_type"], fields["symbol"])


def read_trades(client: Elasticsearch) -> Iterator[IndexedTrade]:
    """Yield every trade document of every daily index."""
    for hit in _scan(client, f"{names.INDEX_TRADES_PREFIX}*"):
        source = hit["_source"]
        yield IndexedTrade(
            hit["_id"],
            _instrument(source),
            (source["traded_at"], source["sequence"] or 0, source["frame_index"]),
            source["price"],
            source["quantity"],
            source["side"],
            source["prediction_state"],
            source["probability"],
            source["model_digest"],
        )


def read_gaps(client: Elasticsearch) -> Iterator[IndexedGap]:
    """Yield every gap document."""
    for hit in _scan(client, names.INDEX_GAPS):
        source = hit["_source"]
        gap = Gap.model_validate(source)
        ends = [
            None if trade_id is None else names.identity(gap.venue, gap.market_type, gap.symbol, trade_id)
            for trade_id in (gap.from_trade_id, gap.to_trade_id)
        ]
        yield IndexedGap(gap.instrument, ends[0], gap.from_traded_at, str(ends[1]))


def count_documents(client: Elasticsearch, index: str) -> int:
    """Return the number of searchable documents of an index; 0 if the index does not exist."""
    response = client.count(index=index, ignore_unavailable=True, allow_no_indices=True)
    return int(response["count"])


def _scan(client: Elasticsearch, index: str) -> Iterator[dict[str, Any]]:
    """Yield every hit of an index at one point in time.

    Raises:
        ValueError: fewer or more documents were read than the index held.
    """
    client.indices.refresh(index=index, ignore_unavailable=True, allow_no_indices=True)
    try:
        opened = client.open_point_in_time(index=index, keep_alive=_KEEP_ALIVE)
    except NotFoundError:
        return
    pit, after, seen, total = opened["id"], None, 0, None
    try:
        while True:
            body: dict[str, Any] = {"pit": {"id": pit, "keep_alive": _KEEP_ALIVE}, "size": _PAGE}
            response = client.search(**body, sort=["_shard_doc"], search_after=after, track_total_hits=total is None)
            total = response["hits"]["total"]["value"] if total is None else total
            hits = response["hits"]["hits"]
            if not hits:
                break
            yield from hits
            seen, after, pit = seen + len(hits), hits[-1]["sort"], response["pit_id"]
    finally:
        client.close_point_in_time(id=pit)
    if seen != total:
        raise ValueError(f"{index}: {seen} documents were read, {total} were there at that point in time")
