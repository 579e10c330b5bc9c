"""Starts the board: settings, log, application, server. Nothing else imports this."""

import logging
import signal
import socket
import sys
from typing import Final

import uvicorn
from tapeline.service import logging as json_logging
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_board.api.routes import create_app
from tapeline_board.app import Board
from tapeline_board.settings import Settings

_SEND_BUFFER_BYTES: Final = 256 * 1024


class _Server(uvicorn.Server):
    """Ends the streams before it waits for connections to end: a stream never ends by itself."""

    def __init__(self, config: uvicorn.Config, board: Board) -> None:
        super().__init__(config)
        self._board = board

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._board.hub.close()
        await super().shutdown(sockets)


def main() -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 1 where the settings cannot be used."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # from the environment
    except (RenamedSetting, InvalidConnection) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json_logging.configure("board", settings.log_level)
    # It logs one line a search and a health check while Elasticsearch is unavailable; availability.py logs changes.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    # uvicorn raises the signal again after its shutdown; nothing is left to do then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    api = create_app(settings)
    config = uvicorn.Config(
        api,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=settings.idle_timeout_s,
        timeout_graceful_shutdown=settings.shutdown_s,
        limit_concurrency=settings.connections_max,
    )
    listener = socket.create_server((settings.host, settings.port), backlog=512)
    # Connections inherit it. By default the system buffers megabytes for a client that has stopped reading.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    host, port = listener.getsockname()[:2]
    logging.getLogger(__name__).info("listening", extra={"host": host, "port": port})
    _Server(config, api.state.board).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
