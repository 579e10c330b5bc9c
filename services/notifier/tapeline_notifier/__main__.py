"""Wiring only: settings, targets, health, the service, signals, exit code.

`python -m tapeline_notifier` runs the service; with `--check` it only validates the targets file.
"""

import argparse
import asyncio
import logging
import signal
import sys

from tapeline.service import health as healths
from tapeline.service import logging as json_log
from tapeline.service.connection import InvalidConnection
from tapeline.service.files import OutdatedState
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_notifier import service, targets
from tapeline_notifier.errors import NotifierError
from tapeline_notifier.metrics import Metrics
from tapeline_notifier.sender import health_condition
from tapeline_notifier.settings import Settings
from tapeline_notifier.targets import Telegram, Webhook

log = logging.getLogger("tapeline_notifier")

_STALL_S = 60.0


async def run(settings: Settings, loaded: tuple[Telegram | Webhook, ...]) -> int:
    """Run the service until a signal or an error that a restart may fix, then return the exit code."""
    metrics = Metrics()
    health = healths.Health((service.KAFKA, *map(health_condition, loaded)), _STALL_S)
    work = service.Service(settings, loaded, metrics, health)
    server = healths.serve(health, settings.health_host, settings.health_port, metrics.page)
    started = {"targets": [target.name for target in loaded], "dry_run": settings.dry_run}
    log.info("started", extra={**started, "health_port": server.server_port})
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.stop)
    code = 0
    try:
        await work.run()
        log.info("stopped by signal")
    except* (NotifierError, InvalidConnection) as errors:
        code = 1
        for error in errors.exceptions:
            log.error("%s", error)
    finally:
        server.shutdown()
        server.server_close()
    return code


def main() -> int:
    """Return the exit code of the command line."""
    parser = argparse.ArgumentParser(prog="tapeline_notifier", description=__doc__)
    parser.add_argument("--check", action="store_true", help="validate the targets file, then exit")
    arguments = parser.parse_args()
    try:
        settings = Settings()  # type: ignore[call-arg]  # from the environment
    except (RenamedSetting, InvalidConnection) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json_log.configure("notifier", settings.log_level)
    # httpx logs request URLs; the URLs of targets are secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        loaded = targets.load(settings.targets)
        if arguments.check:
            log.info("targets file is valid", extra={"targets": [target.name for target in loaded]})
            return 0
        return asyncio.run(run(settings, loaded))
    except (NotifierError, InvalidConnection, OutdatedState) as error:
        log.error("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
