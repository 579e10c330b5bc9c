"""Settings of the inference service, from the environment (`INFERENCE_...`), read once at start."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.renamed_settings import RefusesRenamedSettings

_Seconds = Annotated[float, Field(gt=0)]


class Settings(RefusesRenamedSettings, BaseSettings):
    """Settings of the inference service."""

    model_config = SettingsConfigDict(env_prefix="INFERENCE_", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port; 0 takes a free one, which is logged."""
    models: Path
    """Folder of the bundles and of the pointer `current`."""
    poll_s: _Seconds = 1.0
    """Seconds between two reads of the pointer."""
    cache: Path | None = None
    """Folder of compiled code, which makes a start half a second shorter; only this service may write there."""
    arrow_rows_max: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Most rows of one Arrow request."""
    json_rows_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Most rows of one JSON request."""
    body_bytes_max: Annotated[int, Field(ge=1_024)] = 4 * 1024 * 1024
    """Most bytes of one request body; 20,000 rows of 19 float64 are 3 MB."""
    body_timeout_s: _Seconds = 10.0
    """Seconds in which a whole body must have arrived."""
    requests_max: Annotated[int, Field(ge=1)] = 32
    """Most /predict requests at one time, bodies included; the next one gets 503."""
    connections_max: Annotated[int, Field(ge=1)] = 512
    """Most open connections; the server itself answers 503 beyond."""
    inline_rows_max: Annotated[int, Field(ge=0)] = 2_000
    """Requests of at most so many rows run on the event loop (about 1 ms); longer ones in a thread."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads for the longer requests; not more than the CPUs it may use."""
    keep_alive_s: Annotated[int, Field(ge=1)] = 75
    """Seconds an idle connection stays open; longer than its clients keep theirs open."""
    shutdown_s: Annotated[int, Field(ge=1)] = 2
    """Seconds that running requests get at SIGTERM."""
    docs: bool = False
    """Serve /docs and /openapi.json."""
    log_level: str = "INFO"
    """Standard level name."""
