"""Settings of the stream: what a security setting asks for, and what travels to the executors."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RenamedSetting
from tapeline_spark.settings import BootstrapSettings, Settings

REQUIRED = {
    "STREAM_KAFKA_BOOTSTRAP": "broker:9093",
    "STREAM_ELASTICSEARCH_URL": "https://es:9200",
    "STREAM_INFERENCE_URL": "http://inference:8000",
    "STREAM_CHECKPOINT": "/checkpoints",
    "STREAM_JARS": "/jars",
}
SECURED = {
    "STREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "STREAM_KAFKA_USERNAME": "tapeline-spark",
    "STREAM_ELASTICSEARCH_USERNAME": "tapeline-es-writer",
}


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A complete environment, as a chart sets it."""
    path = tmp_path / "password"
    path.write_text("canary")
    files = dict.fromkeys(("STREAM_KAFKA_PASSWORD_FILE", "STREAM_ELASTICSEARCH_PASSWORD_FILE"), str(path))
    for name, value in {**REQUIRED, **SECURED, **files}.items():
        monkeypatch.setenv(name, value)
    return path


def test_what_travels_to_an_executor_finds_the_password_there_and_does_not_carry_it(
    password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    travelling = Settings().model_dump_json()  # type: ignore[call-arg]
    for name in (*REQUIRED, *SECURED, "STREAM_KAFKA_PASSWORD_FILE", "STREAM_ELASTICSEARCH_PASSWORD_FILE"):
        monkeypatch.delenv(name)
    arrived = Settings.model_validate_json(travelling)
    assert "canary" not in travelling and str(password) in travelling
    assert arrived.librdkafka()["sasl.password"] == "canary"
    assert arrived.client_options()["basic_auth"] == ("tapeline-es-writer", "canary")


def test_wrong_combination_in_the_environment_names_the_variable(
    password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAM_KAFKA_PASSWORD_FILE")
    with pytest.raises(InvalidConnection, match=r"STREAM_KAFKA_PASSWORD_FILE was not set; .*SASL_SSL needs it"):
        Settings()  # type: ignore[call-arg]


def test_preparing_elasticsearch_asks_for_nothing_of_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_ELASTICSEARCH_URL", "https://es:9200")
    monkeypatch.setenv("STREAM_RETENTION_DAYS", "14")
    settings = BootstrapSettings()  # type: ignore[call-arg]
    assert (settings.retention_days, settings.replicas) == (14, 0)


@pytest.mark.parametrize("queries", ["both", "trades", "candles"])
def test_a_process_waits_for_the_topics_of_its_queries_and_no_others(
    password: Path, monkeypatch: pytest.MonkeyPatch, queries: str
) -> None:
    monkeypatch.setenv("STREAM_QUERIES", queries)
    needed = Settings().needed_topics  # type: ignore[call-arg]
    assert ("trade-counts" in needed) == ("trade-alerts" in needed) == (queries != "trades")
    assert {"bybit-trades", "trade-gaps", "trade-rejects"} <= set(needed)


@pytest.mark.parametrize(
    ("text", "topics"),
    [("bybit-trades", ("bybit-trades",)), (" bybit-trades , okx-trades,", ("bybit-trades", "okx-trades"))],
)
def test_topics_of_trades_are_a_list_also_on_the_executor(
    password: Path, monkeypatch: pytest.MonkeyPatch, text: str, topics: tuple[str, ...]
) -> None:
    monkeypatch.setenv("STREAM_TOPICS_TRADES", text)
    settings = Settings()  # type: ignore[call-arg]
    assert settings.topics_trades == Settings.model_validate_json(settings.model_dump_json()).topics_trades == topics
    assert settings.topics == (*topics, "trade-gaps", "trade-rejects")


def test_without_the_setting_the_trades_of_bybit_are_read(password: Path) -> None:
    assert Settings().topics_trades == ("bybit-trades",)  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["", " , ", "a,b,a", "a,trade-gaps", "trade-alerts"])
def test_no_topic_of_trades_or_one_under_two_roles_is_refused(
    password: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("STREAM_TOPICS_TRADES", text)
    with pytest.raises(ValidationError, match="STREAM_TOPICS_TRADES was"):
        Settings()  # type: ignore[call-arg]


def test_the_old_name_of_the_list_is_refused(password: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_TOPIC_TRADES", "bybit-trades")
    with pytest.raises(RenamedSetting, match="STREAM_TOPICS_TRADES"):
        Settings()  # type: ignore[call-arg]
