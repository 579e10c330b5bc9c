"""Choices of `make demo`, from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tapeline_local.stack.options import MAX_PRODUCERS


class DemoSettings(BaseSettings):
    """What to show and for how long; `make demo NAME=value` sets these."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    demo_seconds: float = Field(default=0.0, ge=0)
    """Seconds until the demo ends, counted from when every part is ready; 0: runs until interrupted."""
    demo_predicted: int = Field(default=0, ge=0)
    """Predicted trades before which the demo does not end by itself; training takes minutes on a slow machine."""
    demo_name: str = Field(default="demo", pattern=r"^[a-z0-9-]{1,32}$")
    """Names the state folder below .tapeline/; the same name goes on where it stopped."""
    capture: Path | None = None
    """Recorded trades to replay; empty makes a market."""
    speed: float = Field(default=1.0, gt=0)
    """Multiple of the recorded pace."""
    exchange: Literal["simulator", "bybit"] = "simulator"
    """Where trades come from."""
    rate: float = Field(default=60.0, gt=0)
    """Mean trades a second of the made market."""
    seed: int = 7
    """Of the made market."""
    producers: int = Field(default=1, ge=1, le=MAX_PRODUCERS)
    """Producers that share the symbols."""
    train_after: int = Field(default=3_000, ge=100)
    """Stored trades after which the trainer runs once."""
    drain_seconds: float = Field(default=90.0, gt=0)
    """Seconds that the end of the demo waits for the last trades to be searchable."""

    @field_validator("capture", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value
