"""The documents of scores: names of the bins, what the mapping holds, and one id for one thing."""

from tapeline.instrument import Instrument
from tapeline.records import score


def test_every_bin_has_a_count_of_predictions_and_of_ups():
    fields = score.bin_fields()
    # Documents of different numbers of bins cannot be added up: a change needs a new index.
    assert len(fields) == len(set(fields)) == 2 * score.BINS == 20
    assert fields[:2] == ("bin_0_predictions", "bin_0_ups")
    assert fields[-1] == f"bin_{score.BINS - 1}_ups"


def test_mapping_is_strict_and_holds_counts_as_long_and_sums_as_double():
    assert score.MAPPING["dynamic"] == "strict"
    kinds = {name: field["type"] for name, field in score.MAPPING["properties"].items()}
    assert {kinds[name] for name in (*score.bin_fields(), "predictions", "hits", "ups", "pending")} == {"long"}
    sums = {kinds[f"bin_{number}_probability_sum"] for number in range(score.BINS)}
    assert sums | {kinds["brier_sum"], kinds["prior_brier_sum"]} == {"double"}
    assert kinds["@timestamp"] == kinds["updated_at"] == "date"


def test_one_document_a_model_symbol_and_minute():
    first = score.identity(Instrument.parse("bybit:spot:BTCUSDT"), 1_790_000_040_000, "sha256:a")
    assert first == "bybit|spot|BTCUSDT|1790000040000|sha256:a"
    assert first != score.identity(Instrument.parse("bybit:linear:BTCUSDT"), 1_790_000_040_000, "sha256:a")
