"""Command, environment and user of each part. Pure, except for path look-ups.

launch.py merges this environment over the inherited one.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tapeline import names

from tapeline_local import paths
from tapeline_local.setup.jvm import Jvm
from tapeline_local.stack import elasticsearch as elastic
from tapeline_local.stack import kafka
from tapeline_local.stack.launch import Launch
from tapeline_local.stack.options import StackOptions, kind_of

# One thread for each library: the parts share the cores, and a thread pool per core in each part oversubscribes them.
_PYTHON_ENV = {
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
HOST = "127.0.0.1"


@dataclass(frozen=True)
class LaunchContext:
    """Inputs of the command of a part.

    Attributes:
        state: folder of this stack.
        elasticsearch: folder of the Elasticsearch instance; outside `state` where its user cannot enter `state`.
        elasticsearch_home: the unpacked server.
        jars: folder of the fetched jars.
        jvm: the chosen Java.
        ports: by use.
        options: of the stack.
        cluster_id: for a Kafka log folder that is formatted.
        class_archives: those that `make setup` could build, by program.
    """

    state: Path
    elasticsearch: Path
    elasticsearch_home: Path
    jars: Path
    jvm: Jvm
    ports: dict[str, int]
    options: StackOptions
    cluster_id: str
    class_archives: Mapping[str, Path]


def bootstrap(ports: dict[str, int]) -> str:
    """Return host:port of the broker."""
    return f"{HOST}:{ports['kafka']}"


def health_use(part: str) -> str:
    """Return the port use of a part's health server."""
    return f"{part}_health"


def url(ports: dict[str, int], use: str) -> str:
    """Return http://host:port of a port use."""
    return f"http://{HOST}:{ports[use]}"


def _kafka(context: LaunchContext) -> Launch:
    folder = context.state / "kafka"
    properties = folder / "server.properties"

    def command(*arguments: str) -> tuple[str, ...]:
        java = Path(context.jvm.java_home) / "bin" / "java"
        heap_mib, archive = context.options.kafka_heap_mib, context.class_archives.get("kafka")
        return kafka.java_command(java, context.jars / "kafka", folder, heap_mib, archive, *arguments)

    return Launch(
        argv=command(*kafka.server_arguments(properties)),
        env={},
        cwd=str(folder),
        init_argv=command(*kafka.format_arguments(context.cluster_id, properties)),
        init_creates=str(folder / "data" / "meta.properties"),
    )


def _elasticsearch(context: LaunchContext) -> Launch:
    return Launch(
        argv=(str(context.elasticsearch_home / "bin" / "elasticsearch"),),
        env=elastic.environment(context.elasticsearch, context.jvm.java_home),
        cwd=str(context.elasticsearch),
        user_id=paths.UNPRIVILEGED_ID if paths.needs_unprivileged_user() else None,
    )


def _python(context: LaunchContext, module: str, env: dict[str, str]) -> Launch:
    return Launch(argv=(sys.executable, "-m", module), env=_PYTHON_ENV | env, cwd=str(context.state))


def _inference(context: LaunchContext) -> Launch:
    env = {
        "INFERENCE_HOST": HOST,
        "INFERENCE_PORT": str(context.ports["inference"]),
        "INFERENCE_MODELS": str(context.state / "models"),
    }
    return _python(context, "tapeline_inference", env)


def _spark(context: LaunchContext) -> Launch:
    env = {
        "STREAM_KAFKA_BOOTSTRAP": bootstrap(context.ports),
        "STREAM_ELASTICSEARCH_URL": url(context.ports, "elasticsearch"),
        "STREAM_INFERENCE_URL": url(context.ports, "inference"),
        "STREAM_CHECKPOINT": str(context.state / "checkpoint"),
        "STREAM_HEALTH_PORT": str(context.ports["spark_health"]),
        "STREAM_JARS": str(context.jars / "spark"),
        "STREAM_DRIVER_MEMORY": f"{context.options.spark_heap_mib}m",
        "STREAM_TRADES_INTERVAL_S": str(context.options.trades_interval_s),
        "JAVA_HOME": context.jvm.launch_home,
        "SPARK_LOCAL_IP": HOST,
        "SPARK_LOCAL_DIRS": str(context.state / "run" / "spark"),
        "PYSPARK_PYTHON": sys.executable,
    }
    java_options = kafka.shared_classes(context.class_archives.get("spark"))
    if context.options.fast_jit:
        java_options += kafka.FAST_JIT
    if java_options:
        env["JDK_JAVA_OPTIONS"] = " ".join(java_options)
    return _python(context, "tapeline_spark", env)


def _board(context: LaunchContext) -> Launch:
    env = {
        "BOARD_HOST": HOST,
        "BOARD_PORT": str(context.ports["board"]),
        "BOARD_ELASTICSEARCH_URL": url(context.ports, "elasticsearch"),
        "BOARD_INFERENCE_URL": url(context.ports, "inference"),
    }
    return _python(context, "tapeline_board", env)


def _notifier(context: LaunchContext) -> Launch:
    targets = context.options.notifier_targets
    if targets is None:
        raise ValueError("notifier_targets was None; a notifier needs a file of targets")
    env = {
        "NOTIFIER_KAFKA_BOOTSTRAP": bootstrap(context.ports),
        "NOTIFIER_TARGETS": str(targets.resolve()),
        "NOTIFIER_STATE": str(context.state / "notifier"),
        "NOTIFIER_HEALTH_PORT": str(context.ports["notifier_health"]),
    }
    return _python(context, "tapeline_notifier", env)


def _simulator(context: LaunchContext) -> Launch:
    options = context.options
    env = {
        "SIMULATOR_HOST": HOST,
        "SIMULATOR_PORT": str(context.ports["simulator"]),
        "SIMULATOR_SOURCE": "replay" if options.capture else "market",
        "SIMULATOR_SPEED": str(options.speed),
        "SIMULATOR_SEED": str(options.seed),
        "SIMULATOR_RATE_PER_S": str(options.rate_per_s),
        "SIMULATOR_LEDGER": str(context.state / "ledger.jsonl"),
    }
    if options.capture:
        env["SIMULATOR_CAPTURE"] = str(options.capture.resolve())
    return _python(context, "tapeline_simulator", env)


def _producer(context: LaunchContext, part: str) -> Launch:
    options = context.options
    env = {
        "PRODUCER_EXCHANGE": options.exchange,
        "PRODUCER_KAFKA_BOOTSTRAP": bootstrap(context.ports),
        "PRODUCER_HEALTH_PORT": str(context.ports[health_use(part)]),
    }
    if options.producers > 1:
        env["PRODUCER_GROUP"] = names.GROUP_PRODUCER
    if options.symbols:
        env["PRODUCER_SYMBOLS"] = ",".join(options.symbols)
    if options.exchange == "simulator":
        env["PRODUCER_WEBSOCKET_URL"] = f"ws://{HOST}:{context.ports['simulator']}"
        env["PRODUCER_REST_URL"] = url(context.ports, "simulator")
    return _python(context, "tapeline_producer", env)


_LAUNCHES: dict[str, Callable[[LaunchContext], Launch]] = {
    "kafka": _kafka,
    "elasticsearch": _elasticsearch,
    "inference": _inference,
    "board": _board,
    "notifier": _notifier,
    "spark": _spark,
    "simulator": _simulator,
}


def launch(part: str, context: LaunchContext) -> Launch:
    """Return how a part is run, with the extra environment of the options."""
    kind = kind_of(part)
    plain = _producer(context, part) if kind == "producer" else _LAUNCHES[part](context)
    extra = context.options.extra_env.get(kind, {}) | context.options.extra_env.get(part, {})
    return Launch(plain.argv, plain.env | extra, plain.cwd, plain.user_id, plain.init_argv, plain.init_creates)
