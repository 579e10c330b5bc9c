"""Starts the Spark session and its two queries. Batches are processed in trades/batch.py and candles/runner.py."""

import sys
from collections.abc import Sequence

from pyspark import SparkConf, SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from tapeline import names
from tapeline.service.files import require_format

from tapeline_spark.batch_lock import OnBatch
from tapeline_spark.candles import query as candles
from tapeline_spark.settings import Settings

CHECKPOINT_FORMAT = 1
"""Of the checkpoint folder: raised where a release must not go on from the offsets or snapshots of another one."""
_WAY_OUT = (
    "empty the folder, or set STREAM_CHECKPOINT to a new one; the stream then reads the log again from its beginning, "
    "and a document that is stored already is not doubled"
)
TRADES_NAME = "trades"
COLUMNS = ("topic", "partition", "offset", "value")
# Hadoop's FileContext forks a process for every file; this manager does not, which halves a small batch
# (96 to 46 ms). Its rename is not atomic against a second writer: one driver per checkpoint.
_CHECKPOINT_MANAGER = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"


# Options that both queries need in every deployment.
_QUERY_OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.pyspark.python": sys.executable,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.streaming.checkpointFileManagerClass": _CHECKPOINT_MANAGER,
    "spark.sql.streaming.minBatchesToRetain": "10",
    "spark.sql.streaming.stopTimeout": "30s",
    "spark.sql.streaming.metricsEnabled": "false",
}


def require_checkpoint(settings: Settings) -> None:
    """Accept the checkpoint folder; a new one is created with the format of this release.

    Raises:
        OutdatedState: the folder is of another release's format, or from before formats had numbers.
    """
    require_format(settings.checkpoint, CHECKPOINT_FORMAT, _WAY_OUT)


def start_session(settings: Settings, *, submitted: bool = False) -> SparkSession:
    """Return a session.

    Args:
        settings: of the stream.
        submitted: spark-submit has set master, addresses, memory and jars. Only options that it left unset
            are set here: in PySpark a builder option overrides the same option of spark-submit.

    Raises:
        FileNotFoundError: not submitted, and the folder of jars is empty.
    """
    if submitted:
        submitted_conf = _submitted_conf()
        builder, options = (
            SparkSession.builder,
            {k: v for k, v in _QUERY_OPTIONS.items() if not submitted_conf.contains(k)},
        )
    else:
        builder = SparkSession.builder.master(settings.master).appName("tapeline-trades")
        options = _QUERY_OPTIONS | _own_options(settings)
    for key, value in options.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    return session


def _own_options(settings: Settings) -> dict[str, str]:
    """Return the options for a JVM that this process starts itself on one machine."""
    jars = sorted(str(path) for path in settings.jars.glob("*.jar"))
    if not jars:
        raise FileNotFoundError(f"STREAM_JARS was {settings.jars}; it holds no connector jar: run `make setup`")
    return {
        "spark.jars": ",".join(jars),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": settings.java_options,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }


def _submitted_conf() -> SparkConf:
    """Return the options of spark-submit. Only the JVM knows them, so the JVM must run first."""
    SparkContext._ensure_initialized()
    return SparkConf()


def _source(settings: Settings, topics: Sequence[str]) -> dict[str, str]:
    return {
        **settings.spark(),
        # Also for the batch read in warm_up: without it that read would need an ACL of its own.
        "groupIdPrefix": names.GROUP_STREAM_PREFIX,
        "subscribe": ",".join(topics),
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
        "kafkaConsumer.pollTimeoutMs": "30000",
    }


def warm_up(session: SparkSession, settings: Settings) -> None:
    """Read one record the way a batch is read: compiling that path takes seconds that the first trades would wait."""
    records = session.read.format("kafka").options(**_source(settings, settings.topics)).load()
    records.select(*COLUMNS).limit(1).toArrow()


def start_trades(session: SparkSession, settings: Settings, on_batch: OnBatch) -> StreamingQuery:
    """Start reading trades, gaps and rejects from the checkpoint, or from the earliest offset without one."""
    records = _read_stream(session, settings, settings.topics, settings.max_records_per_batch).select(*COLUMNS)
    return _start_query(records, settings, TRADES_NAME, on_batch, settings.trades_interval_s)


def start_candles(session: SparkSession, settings: Settings, on_batch: OnBatch) -> StreamingQuery:
    """Start reading the same topics and producer counts, for candles and their listeners."""
    records = _read_stream(session, settings, settings.candle_topics, settings.candles_max_records)
    return _start_query(
        records.selectExpr(*candles.COLUMNS), settings, candles.QUERY_NAME, on_batch, settings.candles_interval_s
    )


def _read_stream(session: SparkSession, settings: Settings, topics: Sequence[str], max_records: int) -> DataFrame:
    source = session.readStream.format("kafka").options(**_source(settings, topics))
    return source.option("maxOffsetsPerTrigger", str(max_records)).load()


def _start_query(
    records: DataFrame, settings: Settings, name: str, on_batch: OnBatch, interval_s: float
) -> StreamingQuery:
    writer = records.writeStream.queryName(name).foreachBatch(on_batch)
    location = str(settings.checkpoint / name)
    trigger = f"{round(interval_s * 1000)} milliseconds"
    return writer.option("checkpointLocation", location).trigger(processingTime=trigger).start()
