"""`python -m tapeline_local.setup.small_stream JARS FOLDER`: a Spark stream of a few batches, ours in small.

It loads the classes that our queries load, and ends its JVM in good order, so that the JVM writes its class archive.
"""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BATCHES: Final = 3
_TIMEOUT_S: Final = 120
_OPTIONS: Final[dict[str, bool | float | int | str | None]] = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
}


def main(jars: Path, folder: Path) -> int:
    """Run the stream; return 0 when its JVM has ended in good order."""
    # The environment of the whole checkout has it, through the stream's member; this member does not need it elsewhere.
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    jar_paths = ",".join(sorted(str(path) for path in jars.glob("*.jar")))
    session = SparkSession.builder.master("local[2]").config(map=_OPTIONS | {"spark.jars": jar_paths}).getOrCreate()
    is_enough = threading.Event()

    def on_batch(batch: "DataFrame", number: int) -> None:
        batch.toArrow()
        if number >= _BATCHES:
            is_enough.set()

    records = session.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
    columns = (
        "cast(value as string) key",
        "cast(cast(value as string) as binary) value",
        "unix_millis(timestamp) timestamp",
    )
    writer = records.selectExpr(*columns).writeStream.foreachBatch(on_batch)
    query = writer.option("checkpointLocation", str(folder / "checkpoint")).start()
    has_run = is_enough.wait(_TIMEOUT_S)
    query.stop()
    gateway = SparkContext._gateway
    session.stop()
    if not has_run or gateway is None:
        return 1
    # The JVM ends when its standard input does; PySpark would kill it at the end of this process.
    gateway.proc.stdin.close()
    return int(gateway.proc.wait(_TIMEOUT_S))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
