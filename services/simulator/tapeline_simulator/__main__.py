"""Runs the simulator: settings, signals, exit code."""

import asyncio
import logging
import signal
import sys

from tapeline.service import logging as logs
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_simulator.app import Simulator
from tapeline_simulator.errors import SimulatorError
from tapeline_simulator.settings import Settings

log = logging.getLogger("tapeline_simulator")


async def _run(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(settings) as simulator:
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait((waiting, simulator.failed), return_when=asyncio.FIRST_COMPLETED)
        if simulator.failed.done():
            await simulator.failed
    log.info("stopped")


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, or 1 after a fatal error."""
    try:
        settings = Settings()
    except RenamedSetting as error:
        sys.stderr.write(f"{error}\n")
        return 1
    logs.configure("simulator", settings.log_level)
    try:
        asyncio.run(_run(settings))
    except (SimulatorError, OSError) as error:
        log.error("fatal error: %s", error)
        return 1
    return 0


sys.exit(main())
