"""What a local stack consists of and what can be chosen about it. Pure.

To add a part: its name in `PARTS`, what it needs in `NEEDS`, its commands in parts.py, its probe in probes.py.
The producer may run several times: its replicas are the parts producer, producer-2, producer-3 and so on.
"""

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# In the order of starting; stopping goes the other way, so that nobody writes to what is gone already.
PARTS: Final = ("kafka", "elasticsearch", "inference", "board", "notifier", "spark", "simulator", "producer")

# A part is started when these are ready. Spark waits for everybody by itself, because its JVM takes longest;
# the producer waits for Spark, so that the first trades do not lie in the log until it has started.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "kafka": (),
    "elasticsearch": (),
    "inference": (),
    "board": (),
    "notifier": ("kafka",),
    "spark": (),
    "simulator": (),
    "producer": ("kafka", "simulator", "spark"),
}

# How long a start may take on a busy machine with two cores; a laptop needs a tenth.
START_TIMEOUT_S: Final[dict[str, float]] = {
    "kafka": 120.0,
    "elasticsearch": 240.0,
    "inference": 120.0,
    "board": 60.0,
    "notifier": 60.0,
    "spark": 240.0,
    "simulator": 60.0,
    "producer": 120.0,
}


MOST_PRODUCERS: Final = 16
_REPLICA: Final = re.compile(r"(?P<kind>producer)-(?:[2-9]|1[0-6])")


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
    producers: int = Field(default=1, ge=1, le=MOST_PRODUCERS)
    """Producers that share the symbols; one alone joins no group."""
    notifier_targets: Path | None = None
    """File that says whom to tell of alerts; None: nobody is told, and there is no notifier."""
    expose: str | None = None
    """Address of this machine at which Kafka and Elasticsearch listen too, for pods for instance; unprotected."""
    kafka_heap_mib: int = Field(default=256, ge=128)
    elasticsearch_heap_mib: int = Field(default=512, ge=256)
    spark_heap_mib: int = Field(default=768, ge=512)
    fast_jit: bool = False
    """First compiler tier only: starts sooner, and is several times slower under load. For tests."""
    extra_env: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Environment variables by part; they win over what the stack sets itself.

    Those of "producer" go to all its replicas, those of "producer-2" to that one."""

    @model_validator(mode="after")
    def _known_parts(self) -> Self:
        unknown = sorted(part for part in self.extra_env if kind_of(part) not in PARTS)
        if unknown:
            raise ValueError(f"extra_env named {unknown}; parts are {list(PARTS)}")
        return self


def kind_of(part: str) -> str:
    """Return what a part is a replica of: itself, or "producer" for "producer-2"."""
    match = _REPLICA.fullmatch(part)
    return match["kind"] if match else part


def start_timeout_s(part: str) -> float:
    """Return how long the start of a part may take."""
    return START_TIMEOUT_S[kind_of(part)]


def in_start_order(parts: tuple[str, ...], producers: int = 1) -> tuple[str, ...]:
    """Return the chosen parts in starting order, with all replicas of the producer where one of them is chosen.

    Raises:
        ValueError: a part is unknown.
    """
    kinds = {kind_of(part) for part in parts}
    unknown = sorted(kinds - set(PARTS))
    if unknown:
        raise ValueError(f"parts named {unknown}; known are {list(PARTS)}")
    replicas = tuple(f"producer-{number}" for number in range(2, producers + 1))
    chosen = (part for part in PARTS if part in kinds)
    return tuple(name for part in chosen for name in (part, *(replicas if part == "producer" else ())))


def needed_first(part: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the chosen parts must be ready before `part` starts."""
    return tuple(needed for needed in NEEDS[kind_of(part)] if needed in among)


def wanted(parts: tuple[str, ...], options: StackOptions) -> tuple[str, ...]:
    """Return the parts that the options have work for: no simulator beside the real exchange, and so on."""
    idle = {"simulator": options.exchange != "simulator", "notifier": options.notifier_targets is None}
    return tuple(part for part in parts if not idle.get(part, False))
