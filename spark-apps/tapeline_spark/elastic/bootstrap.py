"""Writes index templates, and the retention policy if one is configured.

`python -m tapeline_spark.elastic.bootstrap` waits for Elasticsearch and exits with 0, or with 1 and the reason.
Running it again is safe. With it, the stream runs with STREAM_TEMPLATES=external and needs no permission on templates.
The templates themselves are in index_templates.py.
"""

import logging
import sys

from tapeline.service import logging as logs
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import StreamError
from tapeline_spark.settings import BootstrapSettings

log = logging.getLogger("tapeline_spark.elastic.bootstrap")


def main() -> int:
    """Write templates and retention. Returns 1 after an error that an operator or a later attempt may fix."""
    logs.configure("bootstrap", "INFO")
    try:
        settings = BootstrapSettings()  # type: ignore[call-arg]
        logs.configure("bootstrap", settings.log_level)
        logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)
        sink = ElasticSink(settings, settings.hold_s, 1, lambda reason: None)
        sink.prepare(settings.replicas, settings.refresh_interval, settings.retention_days)
    except (StreamError, InvalidConnection, RenamedSetting) as error:
        log.error(str(error), extra={"error": type(error).__name__})
        return 1
    log.info("index templates written", extra={"retention_days": settings.retention_days})
    return 0


if __name__ == "__main__":
    sys.exit(main())
