"""What can be set, each by an environment variable SIMULATOR_<NAME>."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one simulator; read once, in `__main__`."""

    model_config = SettingsConfigDict(env_prefix="SIMULATOR_", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8090, ge=0, le=65535)
    """The one port for WebSocket, REST and control; 0 takes a free one and logs it."""
    log_level: str = "INFO"
    """Lowest level that is logged."""

    source: Literal["market", "replay"] = "market"
    """`market` makes a market, `replay` sends a recording."""
    capture: Path | None = None
    """The recording: recorded frames (.jsonl) or normalised trades (.parquet)."""
    speed: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """How many times faster than recorded a replay goes."""
    start_grace_s: float = Field(default=10.0, ge=0)
    """A replay starts this long after the first subscription at the latest."""
    seed: int = 1
    """Decides everything the made market does."""
    rate_per_s: float = Field(default=60.0, gt=0, le=100_000)
    """Mean trades a second of the made market, over all its symbols."""
    with_sequence: bool = True
    """Whether made trades carry `seq`, which Bybit added in 2025."""
    with_rpi: bool = True
    """Whether made trades carry `RPI`, which Bybit added in 2025."""

    ledger: Path = Path("ledger.jsonl")
    """Where every trade is written before it is sent; an existing file is continued."""

    tick_ms: int = Field(default=10, ge=1, le=1000)
    """How often trades are made and sent."""
    socket_queue_frames: int = Field(default=10_000, ge=1)
    """Frames that wait for one slow reader before its socket is dropped."""
    idle_close_s: float = Field(default=600.0, gt=0)
    """A socket without a message in either direction for this long is cut off."""
    idle_scan_s: float = Field(default=30.0, gt=0)
    """How often idle sockets are looked for."""
    rest_requests: int = Field(default=600, ge=1)
    """REST requests one address may send within `rest_window_s`."""
    rest_window_s: float = Field(default=5.0, gt=0)
    """See `rest_requests`."""
    rest_ban_s: float = Field(default=600.0, ge=0)
    """How long an address that sent more is answered with 403."""
