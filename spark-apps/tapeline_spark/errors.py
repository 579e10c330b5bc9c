"""Errors of the stream, and what each one does.

StreamError
├── RulesUnusable       the file of alert rules is invalid: the stream does not start
├── TemplateUnusable    an externally managed index template is missing or different
├── WriteRefused        Elasticsearch refuses permanently: the stream stops, an operator must act
├── OutageTooLong       retried until the deadline; Spark runs the batch again after a restart
├── BatchCountMismatch  a defect in this code: the stream stops before wrong counts are committed
├── LogTruncated        the log no longer holds what the state needs
└── OffsetLogUnreadable Spark's offset log lacks a batch or has another format: the stream stops
"""

from pathlib import Path


class StreamError(Exception):
    """Base of every error that stops the query."""


class RulesUnusable(StreamError):
    """The file of alert rules is invalid."""

    def __init__(self, path: Path, reason: str) -> None:
        """Name the file and each violation."""
        super().__init__(
            f"STREAM_RULES was {path}: {reason}; a list `rules` is needed, each with name, kind and its own fields: "
            "begin with a copy of tapeline_spark/alerts/rules.yaml"
        )


class WriteRefused(StreamError):
    """Elasticsearch refuses this write permanently."""

    def __init__(self, index: str, status: int, reason: str) -> None:
        """Name the index, the status and Elasticsearch's reason."""
        super().__init__(
            f"writing to {index} was refused with status {status}: {reason}. Nothing is skipped: the stream "
            "stops and continues from its checkpoint once the index accepts writes again"
        )


class TemplateUnusable(StreamError):
    """An externally managed index template is missing or does not fit the documents."""

    def __init__(self, name: str, was: str) -> None:
        """Name the template and what was found."""
        super().__init__(
            f"index template {name} was {was}; with STREAM_TEMPLATES=external the stream never writes one: "
            "run `python -m tapeline_spark.elastic.bootstrap` of this version, or set STREAM_TEMPLATES=own"
        )


class OutageTooLong(StreamError):
    """A dependency was unavailable for longer than a batch may wait."""

    def __init__(self, dependency: str, waited_s: float, last_error: str) -> None:
        """Name the dependency, how long it was retried and the last error."""
        super().__init__(
            f"{dependency} was unavailable for {waited_s:.0f} s, longer than STREAM_HOLD_S allows; "
            f"last: {last_error}. The batch is run again after a restart"
        )


class BatchCountMismatch(StreamError):
    """The counts of a batch do not add up."""

    def __init__(self, detail: str) -> None:
        """Name both sides of the comparison."""
        super().__init__(f"the counts of a batch do not match: {detail}")


class LogTruncated(StreamError):
    """Kafka no longer holds the records that the state must be rebuilt from."""

    def __init__(self, topic: str, partition: int, wanted: int, earliest: int) -> None:
        """Name topic and partition, the requested offset and the earliest one."""
        super().__init__(
            f"partition {partition} of {topic}: offset {wanted} is needed, the log begins at {earliest}; "
            "raise the topic's retention, or remove the checkpoint to start over"
        )


class OffsetLogUnreadable(StreamError):
    """A file of Spark's offset log cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        """Name the file and what is wrong with it."""
        super().__init__(
            f"{path}: {reason}; expected is a file of version v1 with one source. Without it nobody knows which "
            "records were processed before: restore the checkpoint folder, or remove it to start over from the log"
        )
