"""Configuration, format and start of the single Kafka node. Pure: text and command lines.

One KRaft process is broker and controller.
"""

from pathlib import Path

LOG4J = """status=error
rootLogger.level=info
rootLogger.appenderRef.a.ref=A
appender.a.type=Console
appender.a.name=A
appender.a.layout.type=PatternLayout
appender.a.layout.pattern=%d{ISO8601} %p %m (%c)%n
"""
# One replica of each internal topic. The last four lines shorten a restart from 16 s to 5 s.
_ONE_NODE = """offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=2097152
log.segment.bytes=67108864
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
"""
FAST_JIT = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def server_properties(data: Path, port: int, controller_port: int, partitions: int, exposed: str | None = None) -> str:
    """Return server.properties.

    Args:
        data: folder of the logs.
        port: of the broker.
        controller_port: of the controller.
        partitions: default for topics created without a number.
        exposed: host:port of a second listener, for clients on other machines.
    """
    more = f",EXPOSED://{exposed}" if exposed else ""
    return f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{more}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXPOSED:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions={partitions}
default.replication.factor=1
min.insync.replicas=1
{_ONE_NODE}"""


def shared_classes(class_archive: Path | None) -> tuple[str, ...]:
    """Return the options that make Java use a class archive."""
    return (f"-XX:SharedArchiveFile={class_archive}",) if class_archive else ()


def java_command(
    java: Path, libs: Path, folder: Path, heap_mib: int, class_archive: Path | None, *arguments: str
) -> tuple[str, ...]:
    """Return the command line of a class of Kafka's jars.

    The first compiler tier suffices: a broker spends its time in system calls and takes 57,000 messages a second.

    Args:
        java: the java program.
        libs: folder of the jars.
        folder: the instance's folder, with log4j2.properties.
        heap_mib: largest heap.
        class_archive: of the same jars, see setup/class_archives.py; None: the start takes twice the CPU time.
        arguments: main class and what follows it.
    """
    return (
        str(java),
        "-Xms128m",
        f"-Xmx{heap_mib}m",
        "-Xss512k",
        *FAST_JIT,
        *shared_classes(class_archive),
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-cp",
        f"{libs}/*",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        f"-Dkafka.logs.dir={folder}",
        *arguments,
    )


def format_arguments(cluster_id: str, properties: Path) -> tuple[str, ...]:
    """Return class and arguments that format an empty log folder.

    `--cluster-id=` in one word: an id may begin with a dash, and the tool takes a second word for an option.
    """
    return ("kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster_id}", "-c", str(properties))


def server_arguments(properties: Path) -> tuple[str, ...]:
    """Return class and arguments that run the node."""
    return ("kafka.Kafka", str(properties))
