"""Settings under their old names."""

import pytest
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.connection import KafkaConnection
from tapeline.service.renamed_settings import RENAMED, RenamedSetting, refuse_renamed


class Settings(KafkaConnection, BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PRODUCER_")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_refused_in_one_line_that_says_the_new_one(old: str, new: str) -> None:
    with pytest.raises(RenamedSetting) as refused:
        refuse_renamed({old: "x"})
    assert str(refused.value).count("\n") == 0 and old in str(refused.value) and new in str(refused.value)


def test_settings_look_at_their_own_prefix_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_SHAPE", "driver")
    assert Settings(kafka_bootstrap="a:1").kafka_bootstrap == "a:1"
    monkeypatch.setenv("PRODUCER_CATEGORIES", "spot")
    with pytest.raises(RenamedSetting, match="PRODUCER_MARKET_TYPES"):
        Settings(kafka_bootstrap="a:1")


def test_no_new_name_is_an_old_one() -> None:
    assert not set(RENAMED) & set(RENAMED.values())
