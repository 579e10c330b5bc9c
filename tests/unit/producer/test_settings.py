import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import ValidationError
from tapeline.enums import MarketType
from tapeline.service.clock import now_ms
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RENAMED
from tapeline_clients import kafka
from tapeline_producer.__main__ import main
from tapeline_producer.kafka.trade_writer import TradeWriter
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings


def test_lists_are_comma_separated_and_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCER_MARKET_TYPES", "linear, spot,")
    monkeypatch.setenv("PRODUCER_SYMBOLS", "BTCUSDT, ETHUSDT,BTCUSDT")
    settings = Settings()
    assert (settings.market_types, settings.symbols) == (("linear", "spot"), ("BTCUSDT", "ETHUSDT"))


def test_defaults_are_the_real_exchange_and_selection_by_turnover() -> None:
    settings = Settings()
    assert (settings.websocket_url, settings.rest_url) == ("wss://stream.bybit.com", "https://api.bybit.com")
    assert (settings.market_types, settings.symbols) == (("spot", "linear"), ())


def test_inverse_is_a_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCER_MARKET_TYPES", "inverse")
    assert Settings().market_types == (MarketType.INVERSE,)


@pytest.mark.parametrize("symbol", ["?", "BTC USDT", "A|B"])
def test_symbol_that_no_instrument_can_have_is_refused(symbol: str) -> None:
    with pytest.raises(ValidationError, match="symbols"):
        Settings(symbols=symbol)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["option", "", "spot,forex", "spot|linear"])
def test_unknown_market_type_is_refused_with_the_known_ones(value: str) -> None:
    with pytest.raises(ValidationError, match=r"each must be one of spot, linear, inverse.*PRODUCER_MARKET_TYPES"):
        Settings(market_types=value)  # type: ignore[arg-type]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().top = 3


async def test_secured_kafka_is_reached_with_the_password_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("canary\n")
    monkeypatch.setenv("PRODUCER_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("PRODUCER_KAFKA_USERNAME", "tapeline-producer")
    monkeypatch.setenv("PRODUCER_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    made: list[dict[str, Any]] = []

    def record(configuration: dict[str, Any], **_: Any) -> MagicMock:
        made.append(configuration)
        return MagicMock(**{"poll.side_effect": lambda _: time.sleep(0.01), "__len__.return_value": 0})

    monkeypatch.setattr(kafka, "Producer", record)
    settings = Settings()
    await TradeWriter(settings, Metrics(), now_ms).close(0)
    (configuration,) = made
    assert (configuration["enable.idempotence"], configuration["message.timeout.ms"]) == (True, 0)
    assert (configuration["security.protocol"], configuration["sasl.password"]) == ("SASL_SSL", "canary")
    assert configuration["acks"] == "all"
    assert "canary" not in repr(settings)


def test_user_without_a_password_file_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCER_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("PRODUCER_KAFKA_USERNAME", "tapeline-producer")
    with pytest.raises(InvalidConnection, match="PRODUCER_KAFKA_PASSWORD_FILE was not set"):
        Settings()


RENAMED_HERE = {old: new for old, new in RENAMED.items() if old.startswith("PRODUCER_")}


def test_every_new_name_is_a_setting_and_no_old_one_is() -> None:
    known = {f"PRODUCER_{field}".upper() for field in Settings.model_fields}
    assert set(RENAMED_HERE.values()) <= known and not set(RENAMED_HERE) & known
    assert {"PRODUCER_SETTLE_S", "PRODUCER_HOLD_S", "PRODUCER_HOLD_TRADES"} < set(RENAMED_HERE)


@pytest.mark.parametrize(("old", "new"), RENAMED_HERE.items())
def test_setting_under_its_old_name_ends_the_program_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    monkeypatch.setenv(old, "1")
    monkeypatch.setattr(sys, "argv", ["tapeline_producer"])
    assert main() == 1
    assert capsys.readouterr().err == f"{old} is set; the setting is called {new} now: rename the variable\n"
