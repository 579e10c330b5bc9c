"""Configuration of the single Elasticsearch node. Pure: text and environment.

The server comes from the integration-test archive: the real one, with few modules; security is off here.
"""

import json
from pathlib import Path

from tapeline_local.stack.kafka import FAST_JIT

LOG4J = """status=error
rootLogger.level=info
rootLogger.appenderRef.a.ref=A
appender.a.type=Console
appender.a.name=A
appender.a.layout.type=PatternLayout
appender.a.layout.pattern=[%d{ISO8601}][%p][%c{1.}] %m%n
"""


# The jars are those of artifacts.lock; verifying their code again takes 2 of 13 s of CPU at each start.
_FAST_START = (*FAST_JIT, "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote")


def elasticsearch_yml(folder: Path, port: int, transport_port: int, exposed: str | None = None) -> str:
    """Return elasticsearch.yml of an instance that lives in `folder`; `exposed` is a second address to listen on."""
    hosts = ["127.0.0.1", *([exposed] if exposed else [])]
    return f"""cluster.name: tapeline
node.name: local
path.data: {json.dumps(str(folder / "data"))}
path.logs: {json.dumps(str(folder / "logs"))}
network.host: 127.0.0.1
http.host: {json.dumps(hosts)}
http.port: {port}
transport.port: {transport_port}
discovery.type: single-node
xpack.security.enabled: false
action.auto_create_index: "tapeline-*"
cluster.routing.allocation.disk.threshold_enabled: false
node.processors: 1
"""


def jvm_options(shipped: str, missing_modules: tuple[str, ...]) -> str:
    """Return the shipped jvm.options without collector, GC log, heap dumps and absent modules; see `heap_options`.

    Args:
        shipped: text of config/jvm.options of the archive.
        missing_modules: modules that the Java lacks.
    """
    unwanted = ("-XX:+UseG1GC", "-Xlog:gc", "-XX:+HeapDump", "-XX:ErrorFile")
    lines = [
        line
        for line in shipped.splitlines()
        if not any(word in line for word in unwanted)
        and not any(f"--add-modules={module}" in line for module in missing_modules)
    ]
    return "\n".join(lines) + "\n"


def heap_options(heap_mib: int, fast_jit: bool) -> str:
    """Return the file of jvm.options.d that sets heap size, collector and compiler."""
    speed = _FAST_START if fast_jit else ("-XX:+UseG1GC",)
    flags = (f"-Xms{heap_mib}m", f"-Xmx{heap_mib}m", "-XX:-AlwaysPreTouch", *speed)
    return "\n".join(flags) + "\n"


def environment(folder: Path, java_home: str) -> dict[str, str]:
    """Return the environment of bin/elasticsearch."""
    return {
        "ES_JAVA_HOME": java_home,
        "ES_PATH_CONF": str(folder / "config"),
        "ES_TMPDIR": str(folder / "tmp"),
        # For the launcher process that stays beside the server.
        "CLI_JAVA_OPTS": "-Xmx32m -XX:TieredStopAtLevel=1",
        "HOME": str(folder),
    }
