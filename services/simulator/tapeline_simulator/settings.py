"""Settings of the simulator, each from the environment variable SIMULATOR_<NAME>."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.renamed_settings import RefusesRenamedSettings


class Settings(RefusesRenamedSettings, BaseSettings):
    """Settings of one simulator; read once, in `__main__`."""

    model_config = SettingsConfigDict(env_prefix="SIMULATOR_", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8090, ge=0, le=65535)
    """Port of WebSocket, REST and control; 0 takes a free port and logs it."""
    log_level: str = "INFO"
    """Minimum log level."""

    source: Literal["market", "replay"] = "market"
    """`market` simulates a market, `replay` sends a recording."""
    capture: Path | None = None
    """The recording: recorded frames (.jsonl) or normalised trades (.parquet)."""
    speed: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Speed factor of a replay."""
    start_grace_s: float = Field(default=10.0, ge=0)
    """Maximum delay from the first subscription to the start of a replay."""
    seed: int = 1
    """Seed of the synthetic market."""
    rate_per_s: float = Field(default=60.0, gt=0, le=100_000)
    """Mean trades a second of the synthetic market, over all its symbols."""
    with_inverse: bool = False
    """Whether the synthetic market lists inverse futures too."""
    with_sequence: bool = True
    """Whether simulated trades have `seq`, which Bybit added in 2025."""
    with_rpi: bool = True
    """Whether simulated trades have `RPI`, which Bybit added in 2025."""

    ledger: Path = Path("ledger.jsonl")
    """File that every trade is written to before it is sent; an existing file is continued."""

    tick_ms: int = Field(default=10, ge=1, le=1000)
    """Interval of ticks."""
    socket_queue_frames: int = Field(default=10_000, ge=1)
    """Maximum queued messages of one socket; a slower reader is disconnected."""
    idle_close_s: float = Field(default=600.0, gt=0)
    """A socket without a message in either direction for this long is aborted."""
    idle_scan_s: float = Field(default=30.0, gt=0)
    """Interval of checks for idle sockets."""
    rest_requests: int = Field(default=600, ge=1)
    """Maximum REST requests of one address within `rest_window_s`."""
    rest_window_s: float = Field(default=5.0, gt=0)
    """See `rest_requests`."""
    rest_ban_s: float = Field(default=600.0, ge=0)
    """Duration for which an address above the limit gets 403."""
