"""Segments and labels over a feed with gaps, against the exchange's own list of trades and slow oracles."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.model import labels
from tapeline.records.gap import Gap
from tapeline_trainer.data import dataset

from unit.trainer import factories

SYMBOLS = ("BTCUSDT", "BTC/USDT", "BTC/USDT:USDT")


@dataclass
class Feed:
    """What the exchange traded of some symbols, what of it reached us, and the gap records.

    Attributes:
        traded: all trades, in total order.
        known: whether each reached us.
        gaps: a record of each loss; some ends are not among the known trades.
    """

    traded: list[dict[str, Any]] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def documents(self) -> list[dict[str, Any]]:
        return [document for document, known in zip(self.traded, self.known, strict=True) if known]


@st.composite
def feeds(draw: st.DrawFn) -> Feed:
    """Losses of a few symbols; some gap records have no id at the start, or an end that was dropped afterwards."""
    feed = Feed()
    for symbol in sorted(draw(st.sets(st.sampled_from(SYMBOLS), min_size=1))):
        count = draw(st.integers(3, 14))
        pauses = draw(st.lists(st.sampled_from([0, 1, 1, 20_000]), min_size=count, max_size=count))
        times = [factories.START_MS + sum(pauses[: n + 1]) for n in range(count)]
        prices = draw(st.lists(st.sampled_from(["1.00", "2.00", "3.00"]), min_size=count, max_size=count))
        trades = [
            factories.document(symbol=symbol, traded_at=at, price=price, sequence=number)
            for number, (at, price) in enumerate(zip(times, prices, strict=True))
        ]
        known = [True] * count
        for _ in range(draw(st.integers(0, 3))):
            before = draw(st.integers(0, count - 2))
            after = draw(st.integers(before + 1, count - 1))
            known[before + 1 : after] = [False] * (after - before - 1)
            changes = draw(st.sampled_from([{}, {}, {"from_trade_id": None}, {"to_trade_id": "dropped"}]))
            feed.gaps.append(factories.gap(trades[before], trades[after], **changes))
        # Trades inside a gap that came late, or over REST.
        known = [here or draw(st.integers(0, 5)) == 0 for here in known]
        feed.traded += trades
        feed.known += known
    return feed


def segments_of(feed: Feed) -> tuple[list[dict[str, Any]], list[int]]:
    trades = factories.trade_table_of(feed.documents(), *feed.gaps)
    columns = dataset.numeric_columns(trades.table)
    found = dataset.segments(trades.table, columns.symbols, columns.symbol, trades.gaps)
    by_id = {document["trade_id"]: document for document in feed.documents()}
    return [by_id[trade_id] for trade_id in trades.table["trade_id"].to_pylist()], found.tolist()


def separates(gap: Gap, rows: list[dict[str, Any]], row: int) -> bool:
    """Whether a gap separates a row from the row before: the slow form."""
    place = {document["trade_id"]: number for number, document in enumerate(rows)}
    if gap.from_trade_id in place and gap.to_trade_id in place:
        return place[gap.from_trade_id] < row <= place[gap.to_trade_id]
    return rows[row - 1]["traded_at"] <= gap.to_traded_at and rows[row]["traded_at"] >= gap.from_traded_at


@settings(max_examples=150, deadline=None)
@given(feeds())
def test_segments_end_where_the_slow_form_finds_another_symbol_or_a_gap(feed: Feed) -> None:
    rows, found = segments_of(feed)
    expected = [0] * min(len(rows), 1)
    for row in range(1, len(rows)):
        symbol = rows[row]["symbol"]
        own = [gap for gap in feed.gaps if gap.symbol == symbol]
        ends = rows[row - 1]["symbol"] != symbol or any(separates(gap, rows, row) for gap in own)
        expected.append(expected[-1] + ends)
    assert found == expected


def labels_of(feed: Feed) -> dict[str, int]:
    """Return the label of each known trade by its id."""
    trades = factories.trade_table_of(feed.documents(), *feed.gaps)
    columns = dataset.numeric_columns(trades.table)
    segment = dataset.segments(trades.table, columns.symbols, columns.symbol, trades.gaps)
    found = labels.next_different_price(columns.traded_at_ms, columns.price, segment)
    return dict(zip(trades.table["trade_id"].to_pylist(), found.value.tolist(), strict=True))


def true_label(feed: Feed, number: int) -> int:
    """Return the label of a trade from all that the exchange traded: the slow form."""
    own = feed.traded[number]
    for later in feed.traded[number + 1 :]:
        if later["symbol"] != own["symbol"]:
            break
        if later["price"] != own["price"]:
            in_time = later["traded_at"] - own["traded_at"] <= labels.HORIZON_MS
            return int(float(later["price"]) > float(own["price"])) if in_time else labels.ABSENT
    return labels.ABSENT


@settings(max_examples=150, deadline=None)
@given(feeds())
def test_label_is_the_one_of_the_exchanges_own_list_or_absent(feed: Feed) -> None:
    found = labels_of(feed)
    for number, document in enumerate(feed.traded):
        value = found.get(document["trade_id"], labels.ABSENT)
        assert value in (labels.ABSENT, true_label(feed, number))


@settings(max_examples=100, deadline=None)
@given(feeds())
def test_without_gaps_every_label_is_the_one_of_the_exchanges_own_list(feed: Feed) -> None:
    whole = Feed(feed.traded, [True] * len(feed.traded), [])
    found = labels_of(whole)
    assert [found[document["trade_id"]] for document in whole.traded] == [
        true_label(whole, number) for number in range(len(whole.traded))
    ]
