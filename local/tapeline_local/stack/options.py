"""Parts of a local stack, their dependencies, and the options of a stack. Pure.

To add a part: its name in `PARTS`, its needs in `DEPENDENCIES`, its commands in parts.py, its probe in probes.py.
The producer may run several times: its replicas are the parts producer, producer-2, producer-3 and so on.
"""

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# In start order. Parts stop in reverse order, so that no part writes to a stopped one.
PARTS: Final = ("kafka", "elasticsearch", "inference", "board", "notifier", "spark", "simulator", "producer")

# A part starts when these are ready. Spark has none, because its JVM takes longest and Spark waits for the others by
# itself. The producer waits for Spark, so that the first trades are processed at once.
DEPENDENCIES: Final[dict[str, tuple[str, ...]]] = {
    "kafka": (),
    "elasticsearch": (),
    "inference": (),
    "board": (),
    "notifier": ("kafka",),
    "spark": (),
    "simulator": (),
    "producer": ("kafka", "simulator", "spark"),
}

# Start timeouts for a busy machine with two cores; a laptop needs a tenth.
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


MAX_PRODUCERS: Final = 16
Server = Literal["kafka", "elasticsearch"]
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}")
_REPLICA: Final = re.compile(r"(?P<kind>producer)-(?:[2-9]|1[0-6])")


class StackOptions(BaseModel):
    """Options of one stack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exchange: Literal["simulator", "bybit"] = "simulator"
    """Source of trades; "bybit" is the public feed and needs no simulator."""
    capture: Path | None = None
    """Recorded trades that the simulator replays; None: it generates a synthetic market."""
    speed: float = Field(default=1.0, gt=0)
    """Multiple of the recorded pace."""
    seed: int = 1
    """Seed of the synthetic market."""
    rate_per_s: float = Field(default=50.0, gt=0)
    """Mean trades a second of the synthetic market, over all symbols."""
    symbols: tuple[str, ...] = ()
    """Symbols to follow; empty: the producer selects by turnover."""
    partitions: int = Field(default=2, ge=1)
    """Partitions of the topic of trades, when it is created."""
    producers: int = Field(default=1, ge=1, le=MAX_PRODUCERS)
    """Producer replicas; a single one joins no group."""
    notifier_targets: Path | None = None
    """File with the targets of alerts; None: no notifier."""
    expose: str | None = None
    """Second listen address of Kafka and Elasticsearch, for example for pods; without authentication."""
    existing: dict[Server, int] = Field(default_factory=dict)
    """Loopback ports of servers that run already, by part: the stack uses them, and starts, stops or removes none."""
    kafka_heap_mib: int = Field(default=256, ge=128)
    elasticsearch_heap_mib: int = Field(default=512, ge=256)
    spark_heap_mib: int = Field(default=768, ge=512)
    fast_jit: bool = False
    """First compiler tier only: starts sooner, and is several times slower under load. For tests."""
    trades_interval_s: float = Field(default=0.0, ge=0)
    """Seconds between the starts of two batches of trades; 0: no pause. A longer one delays and spares the CPU."""
    extra_env: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Environment variables by part; they override the variables that the stack sets.

    Those of "producer" go to all its replicas, those of "producer-2" to that one."""

    @model_validator(mode="after")
    def _known_parts(self) -> Self:
        unknown = sorted(part for part in self.extra_env if kind_of(part) not in PARTS)
        if unknown:
            raise ValueError(f"extra_env named {unknown}; parts are {list(PARTS)}")
        return self


def is_stack_name(name: str) -> bool:
    """Return whether a stack can have that name, which is also the name of a folder."""
    return _NAME.fullmatch(name) is not None


def kind_of(part: str) -> str:
    """Return the part that a part is a replica of: itself, or "producer" for "producer-2"."""
    match = _REPLICA.fullmatch(part)
    return match["kind"] if match else part


def start_timeout_s(part: str) -> float:
    """Return the start timeout of a part in seconds."""
    return START_TIMEOUT_S[kind_of(part)]


def in_start_order(parts: tuple[str, ...], producers: int = 1) -> tuple[str, ...]:
    """Return the chosen parts in start order, with all replicas of the producer if one of them is chosen.

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


def dependencies_of(part: str, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Return the chosen parts that must be ready before `part` starts."""
    return tuple(needed for needed in DEPENDENCIES[kind_of(part)] if needed in chosen)


def enabled_parts(parts: tuple[str, ...], options: StackOptions) -> tuple[str, ...]:
    """Return the parts that the options enable.

    No simulator with the real exchange, no notifier without targets, no server that exists already.
    """
    disabled = {"simulator": options.exchange != "simulator", "notifier": options.notifier_targets is None}
    return tuple(part for part in parts if not disabled.get(part, part in options.existing))
