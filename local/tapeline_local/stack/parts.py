"""What is run for each part: command, environment, user. Pure, except that it asks for paths.

The environment given here is laid over the inherited one by launch.py.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tapeline import names

from tapeline_local import paths
from tapeline_local.setup.jvm import Jvm
from tapeline_local.stack import elasticsearch as elastic
from tapeline_local.stack import kafka
from tapeline_local.stack.launch import Launch
from tapeline_local.stack.options import StackOptions, kind_of

# One thread for each library: the parts share the cores, and pools of every core's size only fight.
_PYTHON_ENV = {
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Surroundings:
    """All that the command of a part can depend on.

    Attributes:
        state: folder of this stack.
        elasticsearch: folder of the Elasticsearch instance; outside `state` where its user cannot enter that.
        elasticsearch_home: the unpacked server.
        jars: folder of the fetched jars.
        jvm: the chosen Java.
        ports: by use.
        options: the choices.
        cluster_id: of a Kafka log folder that is laid out anew.
    """

    state: Path
    elasticsearch: Path
    elasticsearch_home: Path
    jars: Path
    jvm: Jvm
    ports: dict[str, int]
    options: StackOptions
    cluster_id: str


def bootstrap(ports: dict[str, int]) -> str:
    """Return host:port of the broker."""
    return f"{HOST}:{ports['kafka']}"


def health_use(part: str) -> str:
    """Return under which use the port of a part's health server is known."""
    return f"{part}_health"


def url(ports: dict[str, int], use: str) -> str:
    """Return http://host:port of a use."""
    return f"http://{HOST}:{ports[use]}"


def _kafka(around: Surroundings) -> Launch:
    folder = around.state / "kafka"
    properties = folder / "server.properties"

    def command(*arguments: str) -> tuple[str, ...]:
        java = Path(around.jvm.java_home) / "bin" / "java"
        heap_mib = around.options.kafka_heap_mib
        return kafka.java_command(java, around.jars / "kafka", folder, heap_mib, *arguments)

    return Launch(
        argv=command(*kafka.server_arguments(properties)),
        env={},
        cwd=str(folder),
        first=command(*kafka.format_arguments(around.cluster_id, properties)),
        first_made=str(folder / "data" / "meta.properties"),
    )


def _elasticsearch(around: Surroundings) -> Launch:
    return Launch(
        argv=(str(around.elasticsearch_home / "bin" / "elasticsearch"),),
        env=elastic.environment(around.elasticsearch, around.jvm.java_home),
        cwd=str(around.elasticsearch),
        user_id=paths.UNPRIVILEGED_ID if paths.needs_unprivileged_user() else None,
    )


def _python(around: Surroundings, module: str, env: dict[str, str]) -> Launch:
    return Launch(argv=(sys.executable, "-m", module), env=_PYTHON_ENV | env, cwd=str(around.state))


def _inference(around: Surroundings) -> Launch:
    env = {
        "INFERENCE_HOST": HOST,
        "INFERENCE_PORT": str(around.ports["inference"]),
        "INFERENCE_MODELS": str(around.state / "models"),
    }
    return _python(around, "tapeline_inference", env)


def _spark(around: Surroundings) -> Launch:
    env = {
        "STREAM_KAFKA_BOOTSTRAP": bootstrap(around.ports),
        "STREAM_ELASTICSEARCH_URL": url(around.ports, "elasticsearch"),
        "STREAM_INFERENCE_URL": url(around.ports, "inference"),
        "STREAM_CHECKPOINT": str(around.state / "checkpoint"),
        "STREAM_HEALTH_PORT": str(around.ports["spark_health"]),
        "STREAM_JARS": str(around.jars / "spark"),
        "STREAM_DRIVER_MEMORY": f"{around.options.spark_heap_mib}m",
        "JAVA_HOME": around.jvm.launch_home,
        "SPARK_LOCAL_IP": HOST,
        "SPARK_LOCAL_DIRS": str(around.state / "run" / "spark"),
        "PYSPARK_PYTHON": sys.executable,
    }
    if around.options.fast_jit:
        env["JDK_JAVA_OPTIONS"] = " ".join(kafka.FAST_JIT)
    return _python(around, "tapeline_spark", env)


def _board(around: Surroundings) -> Launch:
    env = {
        "BOARD_HOST": HOST,
        "BOARD_PORT": str(around.ports["board"]),
        "BOARD_ELASTICSEARCH_URL": url(around.ports, "elasticsearch"),
        "BOARD_INFERENCE_URL": url(around.ports, "inference"),
    }
    return _python(around, "tapeline_board", env)


def _notifier(around: Surroundings) -> Launch:
    targets = around.options.notifier_targets
    if targets is None:
        raise ValueError("notifier_targets was None; a notifier needs a file that says whom to tell")
    env = {
        "NOTIFIER_KAFKA_BOOTSTRAP": bootstrap(around.ports),
        "NOTIFIER_TARGETS": str(targets.resolve()),
        "NOTIFIER_STATE": str(around.state / "notifier"),
        "NOTIFIER_HEALTH_PORT": str(around.ports["notifier_health"]),
    }
    return _python(around, "tapeline_notifier", env)


def _simulator(around: Surroundings) -> Launch:
    options = around.options
    env = {
        "SIMULATOR_HOST": HOST,
        "SIMULATOR_PORT": str(around.ports["simulator"]),
        "SIMULATOR_SOURCE": "replay" if options.capture else "market",
        "SIMULATOR_SPEED": str(options.speed),
        "SIMULATOR_SEED": str(options.seed),
        "SIMULATOR_RATE_PER_S": str(options.rate_per_s),
        "SIMULATOR_LEDGER": str(around.state / "ledger.jsonl"),
    }
    if options.capture:
        env["SIMULATOR_CAPTURE"] = str(options.capture.resolve())
    return _python(around, "tapeline_simulator", env)


def _producer(around: Surroundings, part: str) -> Launch:
    options = around.options
    env = {
        "PRODUCER_EXCHANGE": options.exchange,
        "PRODUCER_KAFKA_BOOTSTRAP": bootstrap(around.ports),
        "PRODUCER_HEALTH_PORT": str(around.ports[health_use(part)]),
    }
    if options.producers > 1:
        env["PRODUCER_GROUP"] = names.GROUP_PRODUCER
    if options.symbols:
        env["PRODUCER_SYMBOLS"] = ",".join(options.symbols)
    if options.exchange == "simulator":
        env["PRODUCER_WEBSOCKET_URL"] = f"ws://{HOST}:{around.ports['simulator']}"
        env["PRODUCER_REST_URL"] = url(around.ports, "simulator")
    return _python(around, "tapeline_producer", env)


_LAUNCHES: dict[str, Callable[[Surroundings], Launch]] = {
    "kafka": _kafka,
    "elasticsearch": _elasticsearch,
    "inference": _inference,
    "board": _board,
    "notifier": _notifier,
    "spark": _spark,
    "simulator": _simulator,
}


def launch(part: str, around: Surroundings) -> Launch:
    """Return how a part is run, with the environment that the options add."""
    kind = kind_of(part)
    plain = _producer(around, part) if kind == "producer" else _LAUNCHES[part](around)
    extra = around.options.extra_env.get(kind, {}) | around.options.extra_env.get(part, {})
    return Launch(plain.argv, plain.env | extra, plain.cwd, plain.user_id, plain.first, plain.first_made)
