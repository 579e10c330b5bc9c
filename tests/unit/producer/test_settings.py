import pytest
from pydantic import ValidationError
from tapeline_producer.settings import Settings


def test_lists_are_comma_separated_and_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCER_CATEGORIES", "linear, spot,")
    monkeypatch.setenv("PRODUCER_SYMBOLS", "BTCUSDT, ETHUSDT,BTCUSDT")
    settings = Settings()
    assert (settings.categories, settings.symbols) == (("linear", "spot"), ("BTCUSDT", "ETHUSDT"))


def test_defaults_are_the_real_exchange_and_selection_by_turnover() -> None:
    settings = Settings()
    assert (settings.websocket_url, settings.rest_url) == ("wss://stream.bybit.com", "https://api.bybit.com")
    assert (settings.categories, settings.symbols) == (("spot", "linear"), ())


@pytest.mark.parametrize("value", ["option", "", "spot,forex"])
def test_unknown_category_is_refused_with_the_known_ones(value: str) -> None:
    with pytest.raises(ValidationError, match="spot"):
        Settings(categories=value)  # type: ignore[arg-type]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().top = 3
