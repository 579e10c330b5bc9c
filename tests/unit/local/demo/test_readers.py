import json

from tapeline_local.demo import readers

ROW = {"traded_at": 1, "price": "1.50", "quantity": "100", "side": "Buy"}


def test_a_row_of_the_ledger_is_of_the_instrument_that_it_names(tmp_path):
    rows = [
        {"venue": "bybit", "market_type": "spot", "symbol": "BTCUSDT", "trade_id": "1", **ROW},
        {"venue": "other", "market_type": "inverse", "symbol": "BTC/USD:BTC", "trade_id": "2", **ROW},
    ]
    path = tmp_path / "ledger.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"venue":"by')
    found = list(readers.read_ledger(path))
    assert [str(row.instrument) for row in found] == ["bybit:spot:BTCUSDT", "other:inverse:BTC/USD:BTC"]
    assert [row.identity for row in found] == ["bybit|spot|BTCUSDT|1", "other|inverse|BTC/USD:BTC|2"]


class Elastic:
    """Fake client with one page of documents, which a newer writer gave a field more."""

    def __init__(self, *documents):
        self._pages = [[{"_id": str(n), "_source": d, "sort": [n]} for n, d in enumerate(documents)], []]
        self.indices = self

    def refresh(self, **_):
        return {}

    def open_point_in_time(self, **_):
        return {"id": "p"}

    def close_point_in_time(self, **_):
        return {}

    def search(self, **_):
        total = sum(map(len, self._pages))
        return {"hits": {"total": {"value": total}, "hits": self._pages.pop(0)}, "pit_id": "p"}


def test_a_gap_document_keeps_its_instrument_and_the_identities_of_its_ends():
    gap = {"venue": "bybit", "market_type": "linear", "symbol": "A/B:C", "reason": "stall", "backfilled": 0, "more": 1}
    times = dict.fromkeys(("@timestamp", "detected_at", "from_traded_at", "to_traded_at"), 1_790_000_000_000)
    ends = {"from_trade_id": None, "to_trade_id": "x"}
    (found,) = readers.read_gaps(Elastic(gap | times | ends))
    assert (str(found.instrument), found.from_identity) == ("bybit:linear:A/B:C", None)
    assert found.to_identity == "bybit|linear|A/B:C|x"
