"""JSON logs on standard output, one object a line, the same keys in every service.

Use: `configure("producer")` once in `__main__`, then `logging.getLogger(__name__)` and
`log.info("what happened", extra={"symbol": ...})`. Nothing is logged per trade.
"""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure(service: str, level: str = "INFO") -> None:
    """Send every logger of this process to standard output as JSON.

    Args:
        service: name of the part, in the key `service` of every line.
        level: a standard level name, such as "INFO".
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": service},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
