"""What can be set from outside, read from BOARD_* once at start."""

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
    """Base address of the inference service, whose /model is shown; None: the page says that it is not known."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8090
    """TCP port; 0 takes a free one, which is logged."""
    static: Path = _STATIC
    """Folder of the built page."""
    poll_s: _Seconds = 1.0
    """Seconds between two looks at trades and candles; answers that take long are asked for less often."""
    slow_poll_s: _Seconds = 5.0
    """The same for symbols, model, books and alerts."""
    idle_share: Annotated[float, Field(ge=1)] = 4.0
    """A question rests at least so many times as long as its answer took."""
    market_whole_s: _Seconds = 60.0
    """Seconds between two looks at the whole span of the six views; in between only its newest part is read."""
    market_overlap_s: _Seconds = 30.0
    """How late a trade may be to be seen at the next look, not only at the next whole one."""
    linger_s: _Seconds = 5.0
    """Seconds that a question is asked on after its last listener has left; a reload finds its answer."""
    clients_max: Annotated[int, Field(ge=1)] = 256
    """Most open streams; the next one gets 503."""
    feeds_max: Annotated[int, Field(ge=8)] = 128
    """Most different questions asked for streams at one time."""
    searches_max: Annotated[int, Field(ge=1)] = 4
    """Most searches in Elasticsearch at one time; others wait for their turn."""
    waiting_max: Annotated[int, Field(ge=1)] = 64
    """Most searches that wait; the next one gets 503."""
    request_timeout_s: _Seconds = 10.0
    """Seconds in which Elasticsearch must answer; also told to it, so that it stops by itself."""
    look_s: _Seconds = 2.0
    """Seconds between two looks whether Elasticsearch is there."""
    answer_ttl_s: _Seconds = 1.0
    """Seconds for which an answer is given again to the same question."""
    keep_alive_s: _Seconds = 15.0
    """A stream that has nothing to say says so this often, for proxies on the way."""
    idle_timeout_s: Annotated[int, Field(ge=1)] = 75
    """Seconds an idle connection stays open; longer than proxies and browsers keep theirs."""
    send_timeout_s: _Seconds = 20.0
    """Seconds in which a client must take what is sent; then its stream is closed, and browsers come again."""
    connections_max: Annotated[int, Field(ge=1)] = 512
    """Most open connections; the server itself answers 503 beyond."""
    shutdown_s: Annotated[int, Field(ge=1)] = 2
    """Seconds that running requests get at SIGTERM."""
    docs: bool = False
    """Serve /openapi.json."""
    log_level: str = "INFO"
    """Standard level name."""
