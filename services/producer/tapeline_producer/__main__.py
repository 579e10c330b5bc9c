"""Entry point: settings, health server, the service, signals, exit code.

`python -m tapeline_producer` runs the service; with `--probe` it checks whether the exchange responds.
"""

import argparse
import asyncio
import logging
import signal
import sys
import threading

from tapeline.service import health
from tapeline.service import logging as json_log
from tapeline.service.clock import now_ms
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_producer import service
from tapeline_producer.errors import ProducerError
from tapeline_producer.exchange.bybit.rest import RestClient
from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import Readiness
from tapeline_producer.settings import Settings

log = logging.getLogger("tapeline_producer")


async def probe(settings: Settings) -> int:
    """Return 0 if the exchange's REST API responds, else 1; writes one line to standard error."""
    rest = RestClient(settings, now_ms)
    try:
        await rest.check_time()
    except ProducerError as error:
        log.error("%s", error)
        return 1
    finally:
        await rest.aclose()
    log.info("%s responds", settings.rest_url)
    return 0


async def run(settings: Settings) -> int:
    """Run the service until a signal or a fatal error and return the exit code."""
    stopping = threading.Event()
    metrics = Metrics()
    readiness = Readiness(metrics, settings.group is not None)
    server = health.serve(readiness, settings.health_host, settings.health_port, metrics.render)
    log.info("started", extra={"exchange": settings.exchange, "health_port": server.server_port})
    work = asyncio.create_task(service.run(settings, metrics, readiness, stopping.is_set))

    def stop() -> None:
        stopping.set()
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped by signal")
        return 0
    except (ProducerError, InvalidConnection) as error:
        log.error("%s", error)
        return 1
    finally:
        server.shutdown()
        server.server_close()
    return 1


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="tapeline_producer", description=__doc__)
    parser.add_argument("--probe", action="store_true", help="check whether the exchange responds, and exit")
    arguments = parser.parse_args()
    try:
        settings = Settings()
    except (RenamedSetting, InvalidConnection) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if arguments.probe:
        logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        return asyncio.run(probe(settings))
    json_log.configure("producer", settings.log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
