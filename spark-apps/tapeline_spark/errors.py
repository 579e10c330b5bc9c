"""What can go wrong in the stream, and what each error does.

StreamError
├── RulesUnusable       the file of alert rules breaks a rule: the stream does not start
├── TemplateUnusable    somebody else is to prepare Elasticsearch, and has not
├── WriteRefused        Elasticsearch refuses for good: stop loudly, a person must look
├── OutageTooLong       held and retried until the deadline; Spark runs the batch again after a restart
├── BooksUnbalanced     a defect of ours: stop before anything is built on wrong counts
└── LogTruncated        the log no longer holds what the state needs
"""

from pathlib import Path


class StreamError(Exception):
    """Base of every error that ends the query."""


class RulesUnusable(StreamError):
    """The file of alert rules cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        """Name the file and each thing that is wrong with it."""
        super().__init__(
            f"STREAM_RULES was {path}: {reason}; a list `rules` is needed, each with name, kind and its own fields: "
            "begin with a copy of tapeline_spark/alerts/rules.yaml"
        )


class WriteRefused(StreamError):
    """Elasticsearch will not take this write, however often it is tried."""

    def __init__(self, index: str, status: int, reason: str) -> None:
        """Name the index, the status and Elasticsearch's own reason."""
        super().__init__(
            f"writing to {index} was refused with status {status}: {reason}. Nothing is skipped: the stream "
            "stops and goes on from its checkpoint once the index takes writes again"
        )


class TemplateUnusable(StreamError):
    """An index template that others are to put in place is not what the documents need."""

    def __init__(self, name: str, was: str) -> None:
        """Name the template and say what was found."""
        super().__init__(
            f"index template {name} was {was}; with STREAM_TEMPLATES=external the stream never writes one: "
            "run `python -m tapeline_spark.elastic.bootstrap` of this version, or set STREAM_TEMPLATES=own"
        )


class OutageTooLong(StreamError):
    """A dependency stayed away for longer than the batch may wait."""

    def __init__(self, dependency: str, waited_s: float, last_error: str) -> None:
        """Name the dependency, how long it was tried and the last answer."""
        super().__init__(
            f"{dependency} was away for {waited_s:.0f} s, longer than STREAM_HOLD_S allows; "
            f"last: {last_error}. The batch is run again after a restart"
        )


class BooksUnbalanced(StreamError):
    """The counts of a batch do not add up."""

    def __init__(self, detail: str) -> None:
        """Say which side of the balance was what."""
        super().__init__(f"the books of a batch do not balance: {detail}")


class LogTruncated(StreamError):
    """Kafka no longer holds the records that a tail must be rebuilt from."""

    def __init__(self, partition: int, wanted: int, earliest: int) -> None:
        """Name the partition, the offset wanted and the earliest there is."""
        super().__init__(
            f"partition {partition}: offset {wanted} was wanted, the log begins at {earliest}; "
            "raise the topic's retention, or remove the checkpoint to start over"
        )
