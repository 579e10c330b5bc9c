import json

from tapeline.instrument import instrument_of
from tapeline.records import candle
from tapeline_spark.candles.documents import candle_operation, candle_version, missed_operation

from unit.spark.candles.log_factories import START_MS, fresh, numbered, read_log, trade

INSTRUMENT = instrument_of("bybit", "spot", "BTCUSDT")
PUBLISHED = read_log(numbered([trade(1, quantity="2", side="Buy"), trade(2, quantity="6", side="Sell"), trade(121)]))


def test_a_document_has_every_field_of_the_strict_mapping_and_no_other() -> None:
    for (key, minute), item in PUBLISHED.items():
        operation = candle_operation(key, item, START_MS)
        document = json.loads(operation.source)
        assert set(document) == set(candle.MAPPING["properties"])
        assert (document["@timestamp"], document["symbol"]) == (minute, "BTCUSDT")
        assert operation.index == "tapeline-candles-1m-2026.09"
        assert operation.identity == f"bybit|spot|BTCUSDT|{minute}"


def test_a_quiet_minute_has_no_share_of_buys() -> None:
    documents = [json.loads(candle_operation(INSTRUMENT, item, 0).source) for item in PUBLISHED.values()]
    assert [(document["is_quiet"], document["buy_share"]) for document in documents] == [
        (False, 0.25),
        (True, None),
        (False, 1.0),
    ]


def test_the_fuller_of_two_candles_has_the_higher_version() -> None:
    one = read_log(numbered([trade(61)]))[INSTRUMENT, START_MS + 60_000]
    with_another = read_log(numbered([trade(61), trade(62)]))[INSTRUMENT, START_MS + 60_000]
    with_history = read_log(numbered([trade(1), trade(61)]))[INSTRUMENT, START_MS + 60_000]
    assert candle_version(one) < candle_version(with_history) < candle_version(with_another)


def test_a_candle_is_written_over_only_by_one_that_is_as_full() -> None:
    (item,) = read_log(numbered([trade(1)])).values()
    action = json.loads(candle_operation(INSTRUMENT, item, 0).lines().splitlines()[0])
    assert action["index"]["version"] == candle_version(item)
    assert action["index"]["version_type"] == "external_gte"


def test_what_was_missed_changes_one_field_of_the_candle_that_stands() -> None:
    state = fresh()
    state.admit("bybit-trades", [trade(3_600), trade(1)])
    ((key, minutes),) = state.missed().items()
    ((minute, count),) = minutes.items()
    action, change = (json.loads(line) for line in missed_operation(key, minute, count, 5).lines().splitlines())
    assert action == {"update": {"_index": "tapeline-candles-1m-2026.09", "_id": f"bybit|spot|BTCUSDT|{START_MS}"}}
    assert change == {"doc": {"missed_trades": 1, "updated_at": 5}}
