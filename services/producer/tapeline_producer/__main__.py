"""Wiring only: settings, health, the service, signals, exit code.

`python -m tapeline_producer` runs the service; with `--probe` it says whether the exchange answers.
"""

import argparse
import asyncio
import logging
import signal
import sys
import threading

from tapeline.service import health
from tapeline.service import logging as json_log
from tapeline.service.connection import InvalidConnection

from tapeline_producer import service
from tapeline_producer.errors import ProducerError
from tapeline_producer.exchange.bybit.rest import Rest
from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import Status
from tapeline_producer.service import clock_ms
from tapeline_producer.settings import Settings

log = logging.getLogger("tapeline_producer")


async def probe(settings: Settings) -> int:
    """Return 0 if the exchange's REST interface answers, else 1, with one line on standard error."""
    rest = Rest(settings, clock_ms)
    try:
        await rest.time()
    except ProducerError as error:
        log.error("%s", error)
        return 1
    finally:
        await rest.aclose()
    log.info("%s answers", settings.rest_url)
    return 0


async def run(settings: Settings) -> int:
    """Run the service until a signal or a fatal error and return the exit code."""
    stopping = threading.Event()
    metrics = Metrics()
    status = Status(metrics, settings.group is not None)
    server = health.serve(status, settings.health_host, settings.health_port, metrics.page)
    log.info("started", extra={"exchange": settings.exchange, "health_port": server.server_port})
    work = asyncio.create_task(service.run(settings, metrics, status, stopping.is_set))

    def stop() -> None:
        stopping.set()
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped by a signal")
        return 0
    except (ProducerError, InvalidConnection) as error:
        log.error("%s", error)
        return 1
    finally:
        server.shutdown()
        server.server_close()
    return 1


def main() -> int:
    """Return the exit code of the command line."""
    parser = argparse.ArgumentParser(prog="tapeline_producer", description=__doc__)
    parser.add_argument("--probe", action="store_true", help="say whether the exchange answers, and exit")
    arguments = parser.parse_args()
    settings = Settings()
    if arguments.probe:
        logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        return asyncio.run(probe(settings))
    json_log.configure("producer", settings.log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
