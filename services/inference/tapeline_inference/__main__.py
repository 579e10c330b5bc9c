"""Starts the inference service: settings, log, application, server. Nothing else imports this module."""

import logging
import signal
import socket
import sys

import numpy as np
import uvicorn
from tapeline.service import logging as json_logging
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_inference import arrow_codec
from tapeline_inference.routes import create_app
from tapeline_inference.settings import Settings


def main() -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 1 where a setting has an old name."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # from the environment
    except RenamedSetting as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json_logging.configure("inference", settings.log_level)
    # pyarrow's first array imports pandas where there is one: a second or more that no caller should wait for.
    arrow_codec.encode(np.zeros(1))
    # uvicorn raises the signal again after its shutdown; nothing is left to do then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
        limit_concurrency=settings.connections_max,
    )
    listener = socket.create_server((settings.host, settings.port), backlog=512)
    host, port = listener.getsockname()[:2]
    logging.getLogger(__name__).info("listening", extra={"host": host, "port": port})
    uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
