"""The only place of this package where the environment is read."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tapeline_local.stack.options import MAX_PRODUCERS, StackOptions


class UpSettings(BaseSettings):
    """What a person may say to `make up` and `make demo`, without a prefix: `SPEED=10 make demo`."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    exchange: Literal["simulator", "bybit"] = "simulator"
    """Where trades come from."""
    capture: Path | None = None
    """Recorded trades for the simulator to replay; none: it makes a market."""
    speed: float = Field(default=1.0, gt=0)
    """Multiple of the recorded pace."""
    seed: int = 7
    """Of the made market."""
    rate: float = Field(default=60.0, gt=0)
    """Mean trades a second of the made market, over all symbols."""
    producers: int = Field(default=1, ge=1, le=MAX_PRODUCERS)
    """Producers that share the symbols."""
    notifier_targets: Path | None = None
    """File that says whom to tell of alerts, see services/notifier/README.md; none: there is no notifier."""
    symbols: str = ""
    """Comma-separated; empty: the producer selects by turnover."""

    def options(self) -> StackOptions:
        """Return them as options of a stack."""
        symbols = tuple(symbol.strip() for symbol in self.symbols.split(",") if symbol.strip())
        return StackOptions(
            exchange=self.exchange,
            capture=self.capture,
            speed=self.speed,
            seed=self.seed,
            rate_per_s=self.rate,
            producers=self.producers,
            notifier_targets=self.notifier_targets,
            symbols=symbols,
        )


def inherited_environment() -> dict[str, str]:
    """Return the environment this process was started with."""
    return dict(os.environ)
