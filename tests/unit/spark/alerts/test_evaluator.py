"""The alert evaluator as the candle query calls it, with a fake publisher and fake model queries."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline_spark.alerts.evaluator import AlertEvaluator
from tapeline_spark.alerts.model_queries import ServedModel
from tapeline_spark.alerts.rule_config import Rules
from tapeline_spark.alerts.rules import BrierSums

from unit.spark.alerts.test_rules import DIGEST, GAP, flat
from unit.spark.candle_factories import INSTRUMENT, MINUTE_MS, START_MS, candles, changes, producer_row
from unit.spark.change_factories import reported

MOVE = {"name": "move", "kind": "price_move", "window": "5m", "threshold_bp": 200}
SILENT = {"name": "silent", "kind": "silent_symbol", "after_s": 60}
FEED = {"name": "feed", "kind": "silent_symbol", "of": "feed", "after_s": 60}
HOUR_MS = 3_600_000


class FakePublisher:
    """Records published alerts."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.notified: list[str] = []

    def publish(self, alerts, notified):
        self.stored += [alert.alert_id for alert in alerts]
        self.notified += [alert.alert_id for alert in notified]


class FakeModelQueries:
    """Score sums and the served model, set by the test."""

    def __init__(self) -> None:
        self.sums: dict[int, dict[str, BrierSums]] = {}
        self.model: ServedModel | None = None

    def score_sums(self, venue, start_ms, stop_ms):
        return self.sums.get(start_ms, {})

    def served_model(self):
        return self.model


class Harness:
    """An alert evaluator with a clock that the test moves."""

    def __init__(self, *rules, now_ms=START_MS + 10 * MINUTE_MS):
        self.publisher, self.models, self.now_ms = FakePublisher(), FakeModelQueries(), now_ms
        config = Rules.model_validate({"rules": list(rules), "notify_within_minutes": 30})
        self.evaluator = AlertEvaluator(config, self.publisher, self.models, lambda: self.now_ms)

    def tick(self, after_ms=5_000):
        self.now_ms += after_ms
        self.evaluator.tick(self.now_ms)


def test_a_move_is_notified_at_once_and_once_per_episode():
    harness = Harness(MOVE)
    ticks = [*flat(6), (6, 103.0, 1.0)]
    harness.evaluator.after_batch(changes(candles(ticks)))
    for price in (104.0, 105.0):
        ticks.append((7, price, 1.0))
        harness.evaluator.after_batch(changes(candles(ticks, first=7)))
    assert harness.publisher.notified == [f"move|bybit|spot|BTCUSDT|up|{START_MS + 6 * MINUTE_MS}"]


def test_an_old_finding_is_stored_and_not_notified():
    harness = Harness(MOVE, now_ms=START_MS + 3 * HOUR_MS)
    harness.evaluator.after_batch(changes(candles([*flat(6), (6, 103.0, 1.0)])))
    assert (len(harness.publisher.stored), harness.publisher.notified) == (1, [])


def test_a_gap_is_notified_for_every_rule_that_applies_and_an_unreadable_one_for_none():
    near, far = {"name": "near", "kind": "feed_gap"}, {"name": "far", "kind": "feed_gap", "symbols": ["ETHUSDT"]}
    harness = Harness(near, far)
    rows = [
        producer_row(names.TOPIC_GAPS, GAP.model_dump_json().encode()),
        producer_row(names.TOPIC_GAPS, b"nonsense"),
        producer_row(names.TOPIC_COUNTS, b"{}"),
    ]
    harness.evaluator.after_batch(changes(candles(flat(1)), producer_records=reported(rows)))
    assert harness.publisher.notified == [f"near|{GAP.identity()}|{GAP.from_traded_at}"]


def test_a_silent_symbol_is_notified_once_and_again_after_it_traded():
    harness = Harness(SILENT)
    other = instrument_of("bybit", "spot", "ETHUSDT")

    def batch(btc_ms, eth_ms, is_caught_up=True):
        last = {INSTRUMENT: btc_ms, other: eth_ms}
        config = changes({}, newest_ms=eth_ms, is_caught_up=is_caught_up, last_traded_ms=last)
        harness.evaluator.after_batch(config)
        harness.tick()
        harness.tick()

    batch(START_MS, START_MS + 59_000)
    assert harness.publisher.notified == []
    batch(START_MS, START_MS + 61_000, is_caught_up=False)
    assert harness.publisher.notified == [], "another partition may hold its trades"
    batch(START_MS, START_MS + 62_000)
    batch(START_MS, START_MS + 120_000)
    assert harness.publisher.notified == [f"silent|bybit|spot|BTCUSDT|{START_MS}"]
    batch(START_MS + 130_000, START_MS + 131_000)
    batch(START_MS + 130_000, START_MS + 191_000)
    assert harness.publisher.notified[1:] == [f"silent|bybit|spot|BTCUSDT|{START_MS + 130_000}"]


def test_a_symbol_that_hardly_trades_is_not_waited_for():
    often = SILENT | {"min_trades_per_hour": 200}
    harness = Harness(often)
    ticks = flat(61)
    harness.evaluator.after_batch(changes(candles(ticks)))
    silent_ms = START_MS + 60 * MINUTE_MS
    later = changes({}, newest_ms=silent_ms + 100_000, last_traded_ms={INSTRUMENT: silent_ms})
    harness.evaluator.after_batch(later)
    harness.tick()
    assert harness.publisher.notified == []
    busy = [(minute, 100.0, 1.0) for minute in range(61) for _ in range(5)]
    harness.evaluator.after_batch(
        changes(candles(busy), newest_ms=silent_ms + 100_000, last_traded_ms={INSTRUMENT: silent_ms})
    )
    harness.tick()
    assert harness.publisher.notified == [f"silent|bybit|spot|BTCUSDT|{silent_ms}"]


def test_the_silence_of_the_feed_is_notified_once():
    harness = Harness(FEED)
    harness.evaluator.after_batch(changes(candles(flat(1))))
    for _ in range(30):
        harness.tick()
    assert harness.publisher.notified == [f"feed|bybit|feed|{START_MS}"]


def test_a_model_that_is_worse_than_its_prior_is_notified_in_the_first_such_window():
    rule = {"name": "below", "kind": "model_below_prior", "min_predictions": 10}
    harness = Harness(rule)
    bad, start = {DIGEST: BrierSums(10, 3.0, 2.5)}, START_MS - START_MS % HOUR_MS
    harness.models.sums = {start: bad, start + HOUR_MS: bad}
    for minutes in (0, 64, 66, 124, 126):
        newest = start + minutes * MINUTE_MS
        harness.evaluator.after_batch(changes({}, newest_ms=newest, last_traded_ms={}))
        harness.tick(40_000)
    assert harness.publisher.notified == [f"below|bybit|{DIGEST}|{start}"]


def test_an_expired_model_is_notified_and_an_inference_without_a_model_is_not():
    harness = Harness({"name": "expired", "kind": "model_expired"})
    harness.evaluator.after_batch(changes(candles(flat(1))))
    harness.tick(40_000)
    harness.models.model = ServedModel(DIGEST, START_MS)
    harness.tick(40_000)
    harness.tick(40_000)
    assert harness.publisher.notified == [f"expired|{DIGEST}|{START_MS}"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.floats(95.0, 105.0)), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=6),
    st.integers(0, 40),
)
def test_wherever_batches_end_and_a_process_dies_the_same_alerts_are_raised(moves, cuts, dies):
    """After a kill everything since the snapshot comes again, in one piece with what is new."""
    ticks = [*flat(6), *((6 + minute, price, 1.0) for minute, price in sorted(moves, key=lambda each: each[0]))]
    whole = Harness(MOVE)
    whole.evaluator.after_batch(changes(candles(ticks)))
    pieces = sorted({6 + cut for cut in cuts if 6 + cut < len(ticks)} | {len(ticks)})
    cut_up = Harness(MOVE)
    state, saved_at, seen = None, 0, set()
    for stop in pieces:
        batch = candles(ticks[:stop], first=ticks[saved_at][0] if saved_at else 0)
        cut_up.evaluator.after_batch(changes(batch))
        if stop <= dies:
            state, saved_at = cut_up.evaluator.snapshot(), stop - 1
        else:
            # It dies after every batch from here on.
            cut_up.evaluator.restore(state)
        seen |= set(cut_up.publisher.stored)
    assert seen == set(whole.publisher.stored)
