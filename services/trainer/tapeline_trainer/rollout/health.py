"""The service seen from outside while a new model settles: which model answers, and how many requests fail.

`Service` asks, everything else is pure. A Service of the cluster spreads connections over its replicas, so each
look opens a new one and sees one of them; counters are a replica's own and began with it, which is with the
new model. Client's mistakes are not the model's and do not count.
"""

import json
from dataclasses import dataclass
from typing import Final, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tapeline_trainer.settings import Settings

REQUESTS: Final = "tapeline_predict_requests_total"
MODEL: Final = "tapeline_model_info"
FAULTS: Final = frozenset({"internal", "model_unavailable", "model_expired", "overloaded", "feature_mismatch"})
"""Outcomes that a caller cannot help; a feature mismatch is a model for other features than the stream's."""
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Replica:
    """The counters of one replica since it began.

    Attributes:
        digest: the model it serves, None where it serves none.
        answered: requests answered with probabilities.
        failed: requests that failed by no fault of the caller.
    """

    digest: str | None
    answered: float
    failed: float


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found; `wrong` in words where the service does not look as it must.

    Attributes:
        wrong: None where all is well.
        is_final: whether no patience can make it right.
    """

    wrong: str | None
    is_final: bool = False


def replica(exposition: str) -> Replica:
    """Read the metrics page of a replica.

    Raises:
        ValueError: it is no such page.
    """
    digest, answered, failed = None, 0.0, 0.0
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == MODEL and sample.value == 1:
                digest = sample.labels["digest"]
            elif sample.name == REQUESTS:
                outcome = sample.labels["outcome"]
                answered += sample.value if outcome == "ok" else 0.0
                failed += sample.value if outcome in FAULTS else 0.0
    return Replica(digest, answered, failed)


def judge(served: str | None, seen: Replica, wanted: str, settings: Settings) -> Look:
    """Return what is to be thought of two answers.

    Args:
        served: digest that /model named.
        seen: what /metrics counted, maybe of another replica.
        wanted: digest of the new model.
        settings: limits.
    """
    for digest in (served, seen.digest):
        if digest != wanted:
            return Look(f"the service answered with model {digest}; it must be {wanted}")
    total = seen.answered + seen.failed
    share = seen.failed / total if total else 0.0
    if total >= settings.watch_minimum_requests and share > settings.watch_error_share:
        rule = f"{settings.watch_error_share:.1%} is the most"
        return Look(f"share of failed requests was {share:.1%} of {total:.0f}; {rule}", is_final=True)
    return Look(None)


class Service:
    """The inference service."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Prepare.

        Args:
            url: scheme, host and port.
            settings: limits.
        """
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_S, limits=limits)
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def look(self, wanted: str) -> Look:
        """Look once.

        Args:
            wanted: digest of the model that must answer.
        """
        try:
            served = self._client.get("/model").raise_for_status().json()["model_digest"]
            seen = replica(self._client.get("/metrics").raise_for_status().text)
        except (httpx.HTTPError, json.JSONDecodeError, ValueError, KeyError, TypeError) as error:
            return Look(f"the service did not answer as it must ({type(error).__name__}: {str(error)[:200]})")
        return judge(served, seen, wanted, self._settings)
