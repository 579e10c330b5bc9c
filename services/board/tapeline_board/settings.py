"""Settings of the board, read from BOARD_* once at start."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.connection import ElasticsearchConnection

_Seconds = Annotated[float, Field(gt=0)]
_STATIC = Path(__file__).parent / "static"


class Settings(ElasticsearchConnection, BaseSettings):
    """Settings of the board."""

    model_config = SettingsConfigDict(env_prefix="BOARD_", frozen=True)

    elasticsearch_url: str
    """Address of Elasticsearch, such as http://127.0.0.1:9200."""
    inference_url: str | None = None
    """Base address of the inference service, whose /model is shown; None: the page says that it is not configured."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8090
    """TCP port; 0 binds a free port, which is logged."""
    static: Path = _STATIC
    """Folder of the built page."""
    poll_s: _Seconds = 1.0
    """Seconds between two polls of trades and candles; slow queries are polled less often."""
    slow_poll_s: _Seconds = 5.0
    """The same for symbols, model, reconciliation and alerts."""
    idle_ratio: Annotated[float, Field(ge=1)] = 4.0
    """A poller pauses at least so many times as long as its query took."""
    market_refresh_s: _Seconds = 60.0
    """Seconds between two full refreshes of the six views; in between only the newest part of the span is read."""
    market_overlap_s: _Seconds = 30.0
    """How late a trade may be to be seen at the next poll, not only at the next full refresh."""
    linger_s: _Seconds = 5.0
    """Seconds that a poller goes on after its last subscriber has left; a reload finds its state."""
    clients_max: Annotated[int, Field(ge=1)] = 256
    """Most open streams; the next one gets 503."""
    pollers_max: Annotated[int, Field(ge=8)] = 128
    """Most different queries polled for streams at one time."""
    searches_max: Annotated[int, Field(ge=1)] = 4
    """Most concurrent searches in Elasticsearch; further ones are queued."""
    queued_searches_max: Annotated[int, Field(ge=1)] = 64
    """Most queued searches; the next one gets 503."""
    request_timeout_s: _Seconds = 10.0
    """Seconds in which Elasticsearch must respond; also sent with the search, so that Elasticsearch stops by itself."""
    health_check_s: _Seconds = 2.0
    """Seconds between two health checks of Elasticsearch."""
    response_ttl_s: _Seconds = 1.0
    """Seconds for which a response is reused for the same query."""
    keep_alive_s: _Seconds = 15.0
    """Seconds between two comments on an idle stream, for proxies on the way."""
    idle_timeout_s: Annotated[int, Field(ge=1)] = 75
    """Seconds an idle connection stays open; longer than proxies and browsers keep theirs."""
    send_timeout_s: _Seconds = 20.0
    """Seconds in which a client must read what is sent; then its stream is closed, and browsers reconnect."""
    connections_max: Annotated[int, Field(ge=1)] = 512
    """Most open connections; the server itself responds with 503 beyond."""
    shutdown_s: Annotated[int, Field(ge=1)] = 2
    """Seconds that running requests get at SIGTERM."""
    docs: bool = False
    """Serve /openapi.json."""
    log_level: str = "INFO"
    """Standard level name."""
