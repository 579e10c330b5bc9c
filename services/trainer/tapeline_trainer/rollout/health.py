"""Samples the health of the inference service: which model responds, and the share of requests that fail.

`InferenceService` sends the requests, everything else is pure. A Service of the cluster spreads connections over its
replicas, so each sample opens a new connection and reaches one replica. Counters belong to a replica and start with it,
which is with the new model. Client errors are not the model's and do not count.
"""

import json
from dataclasses import dataclass
from typing import Final, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tapeline_trainer.settings import Settings

REQUESTS: Final = "tapeline_predict_requests_total"
MODEL: Final = "tapeline_model_info"
SERVER_FAULTS: Final = frozenset({"internal", "model_unavailable", "model_expired", "overloaded", "feature_mismatch"})
"""Outcomes that no caller causes; a feature mismatch is a model for other features than the stream's."""
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ReplicaCounters:
    """The counters of one replica since its start.

    Attributes:
        digest: the model it serves, None where it serves none.
        succeeded: requests that got probabilities.
        failed: requests that failed by no fault of the caller.
    """

    digest: str | None
    succeeded: float
    failed: float


@dataclass(frozen=True, slots=True)
class HealthSample:
    """Result of one health check.

    Attributes:
        problem: in words, None where the service is healthy.
        is_fatal: whether waiting cannot help.
    """

    problem: str | None
    is_fatal: bool = False


def parse_metrics(exposition: str) -> ReplicaCounters:
    """Read the metrics page of a replica.

    Raises:
        ValueError: it is no such page.
    """
    digest, succeeded, failed = None, 0.0, 0.0
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == MODEL and sample.value == 1:
                digest = sample.labels["digest"]
            elif sample.name == REQUESTS:
                outcome = sample.labels["outcome"]
                succeeded += sample.value if outcome == "ok" else 0.0
                failed += sample.value if outcome in SERVER_FAULTS else 0.0
    return ReplicaCounters(digest, succeeded, failed)


def check(served: str | None, counters: ReplicaCounters, expected: str, settings: Settings) -> HealthSample:
    """Check two responses of the service against the limits.

    Args:
        served: digest that /model named.
        counters: of /metrics, maybe of another replica.
        expected: digest of the new model.
        settings: limits.
    """
    for digest in (served, counters.digest):
        if digest != expected:
            return HealthSample(f"the service responded with model {digest}; it must be {expected}")
    total = counters.succeeded + counters.failed
    share = counters.failed / total if total else 0.0
    if total >= settings.watch_minimum_requests and share > settings.watch_error_share:
        rule = f"{settings.watch_error_share:.1%} is the most"
        return HealthSample(f"share of failed requests was {share:.1%} of {total:.0f}; {rule}", is_fatal=True)
    return HealthSample(None)


class InferenceService:
    """Client of the inference service."""

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

    def sample(self, expected: str) -> HealthSample:
        """Check the service once.

        Args:
            expected: digest of the model that must be served.
        """
        try:
            served = self._client.get("/model").raise_for_status().json()["model_digest"]
            counters = parse_metrics(self._client.get("/metrics").raise_for_status().text)
        except (httpx.HTTPError, json.JSONDecodeError, ValueError, KeyError, TypeError) as error:
            return HealthSample(f"the service did not respond as it must ({type(error).__name__}: {str(error)[:200]})")
        return check(served, counters, expected, self._settings)
