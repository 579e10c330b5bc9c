"""The only place of this package where the environment is read."""

import os
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.renamed_settings import RENAMED, RenamedSetting, refuse_renamed

from tapeline_local.errors import SettingsRefused
from tapeline_local.stack.options import MAX_PRODUCERS, StackOptions, is_stack_name

Loaded = TypeVar("Loaded", bound=BaseSettings)


def _check_name(name: str) -> str:
    if not is_stack_name(name):
        raise ValueError("use up to 41 letters, digits, '.', '_' and '-', a letter or digit first")
    return name


class StackName(BaseSettings):
    """Selects a stack; every target of a local stack has this variable."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    name: Annotated[str, AfterValidator(_check_name)] = "demo"
    """Name of the stack; its state lies in .tapeline/NAME."""


class UpSettings(StackName):
    """Variables of `make up`; `make demo` has all of them too."""

    exchange: Literal["simulator", "bybit"] = "simulator"
    """Source of trades."""
    capture: Path | None = None
    """Recorded trades that the simulator replays; None: it generates a synthetic market."""
    speed: float = Field(default=1.0, gt=0)
    """Multiple of the recorded pace."""
    seed: int = 7
    """Seed of the synthetic market."""
    rate: float = Field(default=60.0, gt=0)
    """Mean trades a second of the synthetic market, over all symbols."""
    producers: int = Field(default=1, ge=1, le=MAX_PRODUCERS)
    """Producer replicas."""
    notifier_targets: Path | None = None
    """File with the targets of alerts, see services/notifier/README.md; None: no notifier."""
    fast_jit: bool = False
    """First compiler tier of Java only: ready sooner and slower under load; for a short look on a small machine."""
    symbols: str = ""
    """Comma-separated; empty: the producer selects by turnover."""

    def options(self) -> StackOptions:
        """Return the options of the stack."""
        symbols = tuple(symbol.strip() for symbol in self.symbols.split(",") if symbol.strip())
        return StackOptions(
            exchange=self.exchange,
            capture=self.capture.resolve() if self.capture else None,
            speed=self.speed,
            seed=self.seed,
            rate_per_s=self.rate,
            producers=self.producers,
            notifier_targets=self.notifier_targets.resolve() if self.notifier_targets else None,
            symbols=symbols,
            fast_jit=self.fast_jit,
        )


def fields_of(kind: type[BaseSettings]) -> set[str]:
    """Return the environment variables of a settings class."""
    prefix = kind.model_config.get("env_prefix", "")
    return {f"{prefix}{name}".upper() for name in kind.model_fields}


def load(kind: type[Loaded]) -> Loaded:
    """Return settings from the environment.

    Raises:
        SettingsRefused: a value breaks its rule, or a variable has an old name; the message is one line.
    """
    own = fields_of(kind)
    try:
        refuse_renamed({name: value for name, value in os.environ.items() if RENAMED.get(name) in own})
        return kind()
    except RenamedSetting as error:
        raise SettingsRefused(str(error)) from error
    except ValidationError as error:
        lines = (
            f"{str(e['loc'][0]).upper()} was {e['input']!r}; {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise SettingsRefused("; ".join(lines)) from error


def inherited_environment() -> dict[str, str]:
    """Return the environment this process was started with."""
    return dict(os.environ)
