"""Errors that stop a training run. Each message has the value, the rule and the way out.

To add an error: derive it from TrainerError, give it the process's exit code, build the message here.
"""

from pathlib import Path
from typing import ClassVar


class TrainerError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1


class InsufficientData(TrainerError):
    """Fewer rows than an evaluation needs; nothing was trained."""

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, value: object, rule: str, way_out: str) -> None:
        super().__init__(f"{what} was {value}; it must be {rule}; {way_out}; no model was touched")


class NoTradesStored(InsufficientData):
    """Elasticsearch holds no trade at all."""

    def __init__(self, pattern: str) -> None:
        super().__init__(
            f"number of trades in indices {pattern}",
            0,
            "at least 1 to export anything",
            "check that the stream is running and writes to this Elasticsearch",
        )


class NoTradeSource(TrainerError):
    """Neither a file nor an Elasticsearch was configured."""

    def __init__(self) -> None:
        super().__init__(
            "source of trades was not set; it must be an Elasticsearch or a file; "
            "set TRAINER_ELASTICSEARCH_URL or give --trades FILE"
        )


class ExportIncomplete(TrainerError):
    """The pages did not add up to the count of the same snapshot."""

    def __init__(self, pattern: str, read: int, counted: int) -> None:
        super().__init__(
            f"documents read from {pattern} were {read}; they must be the {counted} that the same point in "
            "time counts; nothing was written: run the export again, with a longer "
            "TRAINER_SNAPSHOT_KEEP_ALIVE_S if it expired"
        )


class ElasticsearchFailed(TrainerError):
    """Elasticsearch did not respond as it must, after every retry."""

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(
            f"response of Elasticsearch while {doing} was {reason}; it must succeed within the retries; "
            "check TRAINER_ELASTICSEARCH_URL and the cluster's health, then run again"
        )


class InvalidTrades(TrainerError):
    """A file of trades, or a stored trade, that cannot be read."""

    def __init__(self, where: str, what: str, value: object, rule: str) -> None:
        super().__init__(f"{what} in {where} was {value!r}; it must be {rule}; correct or remove it and run again")


class ForestMismatch(TrainerError):
    """The exported arrays do not predict as scikit-learn does; such a bundle is never promoted."""

    def __init__(self, rows: int, different: int) -> None:
        super().__init__(
            f"rows on which the exported forest differs from scikit-learn were {different} of {rows}; "
            "they must be 0; check the scikit-learn version against the lock; no model was touched"
        )


class NoRegistry(TrainerError):
    """No registry is configured to push a model image to."""

    def __init__(self) -> None:
        super().__init__(
            "registry was not set; it must be one the trainer may push to; set TRAINER_REGISTRY to its host[:port]"
        )


class NoCurrentModel(TrainerError):
    """A folder of models has no current bundle."""

    def __init__(self, models: Path) -> None:
        super().__init__(f"current model of {models} was missing; it must name a bundle; give --models DIR")


class RegistryFailed(TrainerError):
    """The registry did not respond as it must, after every retry."""

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(
            f"response of the registry while {doing} was {reason}; it must succeed within the retries; check "
            "TRAINER_REGISTRY and what its user may do, then run again"
        )


class ImageMissing(RegistryFailed):
    """The registry does not have the image."""


class ClusterFailed(TrainerError):
    """The API server did not respond as it must, after every retry."""

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(
            f"response of the API server while {doing} was {reason}; it must succeed within the retries; check the "
            "Role of the trainer's service account and the cluster's health, then run again"
        )


class UnmanagedReference(TrainerError):
    """The Deployment names a model that a roll-out could not replace and roll back."""

    def __init__(self, what: str, was: str, rule: str) -> None:
        super().__init__(f"{what} was {was}; {rule}; no model was touched")


class ReferenceChanged(TrainerError):
    """Somebody else changed the model reference meanwhile; their change stays."""

    def __init__(self, was: str, expected: str) -> None:
        super().__init__(
            f"model reference of the Deployment was {was}; it must be {expected}, as this run left or found it; "
            "whoever changed it decides; run again"
        )


class RolloutFailed(TrainerError):
    """The new model is not served as it must be; the old one is restored."""

    def __init__(self, what: str, was: str, rule: str) -> None:
        super().__init__(f"{what} was {was}; {rule}")


class RolloutIncomplete(TrainerError):
    """The roll-out of a verdict failed."""

    exit_code: ClassVar[int] = 4

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(f"roll-out was {outcome}: {reason}")
