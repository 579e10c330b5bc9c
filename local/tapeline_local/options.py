"""What a local stack consists of and what can be chosen about it. Pure.

To add a part: its name in `PARTS`, what it needs in `NEEDS`, its commands in parts.py, its probe in probes.py.
"""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# In the order of starting; stopping goes the other way, so that nobody writes to what is gone already.
PARTS: Final = ("kafka", "elasticsearch", "inference", "spark", "simulator", "producer")

# A part is started when these are ready. Spark waits for everybody by itself, because its JVM takes longest;
# the producer waits for Spark, so that the first trades do not lie in the log until it has started.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "kafka": (),
    "elasticsearch": (),
    "inference": (),
    "spark": (),
    "simulator": (),
    "producer": ("kafka", "simulator", "spark"),
}

# How long a start may take on a busy machine with two cores; a laptop needs a tenth.
START_TIMEOUT_S: Final[dict[str, float]] = {
    "kafka": 120.0,
    "elasticsearch": 240.0,
    "inference": 120.0,
    "spark": 240.0,
    "simulator": 60.0,
    "producer": 120.0,
}


class StackOptions(BaseModel):
    """Choices for one stack; the defaults are those of `make demo`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exchange: Literal["simulator", "bybit"] = "simulator"
    """Where trades come from; "bybit" needs no simulator and goes to the public feed."""
    capture: Path | None = None
    """Recorded trades for the simulator to replay; None: it makes a market."""
    speed: float = Field(default=1.0, gt=0)
    """Multiple of the recorded pace."""
    seed: int = 1
    """Of the made market."""
    rate_per_s: float = Field(default=50.0, gt=0)
    """Mean trades a second of the made market, over all symbols."""
    symbols: tuple[str, ...] = ()
    """Symbols to follow; empty: the producer selects by turnover."""
    partitions: int = Field(default=2, ge=1)
    """Of the topic of trades, when it is created."""
    expose: str | None = None
    """Address of this machine at which Kafka and Elasticsearch listen too, for pods for instance; unprotected."""
    kafka_heap_mib: int = Field(default=256, ge=128)
    elasticsearch_heap_mib: int = Field(default=512, ge=256)
    spark_heap_mib: int = Field(default=768, ge=512)
    fast_jit: bool = False
    """First compiler tier only: starts sooner, and is several times slower under load. For tests."""
    extra_env: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Environment variables by part; they win over what the stack sets itself."""

    @model_validator(mode="after")
    def _known_parts(self) -> Self:
        unknown = sorted(set(self.extra_env) - set(PARTS))
        if unknown:
            raise ValueError(f"extra_env named {unknown}; parts are {list(PARTS)}")
        return self


def in_start_order(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the chosen parts in starting order.

    Raises:
        ValueError: a part is unknown.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ValueError(f"parts named {unknown}; known are {list(PARTS)}")
    return tuple(part for part in PARTS if part in parts)


def needed_first(part: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the chosen parts must be ready before `part` starts."""
    return tuple(needed for needed in NEEDS[part] if needed in among)
