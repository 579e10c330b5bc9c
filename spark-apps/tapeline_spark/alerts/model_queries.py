"""Queries about models: score sums of a time range, and the expiry of the served model."""

import logging
from typing import Any, Final, NamedTuple

import orjson
import urllib3
from elasticsearch import Elasticsearch
from tapeline import names

from tapeline_spark.alerts.rules import BrierSums
from tapeline_spark.elastic.sink import ElasticSink

log = logging.getLogger(__name__)

_MODELS: Final = 100
_TIMEOUT_S: Final = 2.0
_SUMS: Final = ("predictions", "brier_sum", "prior_brier_sum")


class ServedModel(NamedTuple):
    """The model that inference serves."""

    digest: str
    expires_ms: int


class ModelQueries:
    """Queries Elasticsearch and inference."""

    def __init__(self, sink: ElasticSink, inference_url: str) -> None:
        """Query Elasticsearch through `sink`, which retries while it is unavailable."""
        self._sink, self._url = sink, f"{inference_url.rstrip('/')}/model"
        self._pool = urllib3.PoolManager(maxsize=1, timeout=_TIMEOUT_S, retries=False)

    def score_sums(self, venue: str, start_ms: int, stop_ms: int) -> dict[str, BrierSums]:
        """Return the Brier sums of each model's predictions for a venue in a time range.

        Args:
            venue: whose trades were predicted.
            start_ms: first minute, ms UTC.
            stop_ms: first minute after the range, ms UTC.

        Raises:
            StreamError: Elasticsearch does not respond, or refuses.
        """
        times = {"gte": start_ms, "lt": stop_ms}

        def search(client: Elasticsearch) -> Any:
            return client.search(
                index=f"{names.INDEX_SCORES_PREFIX}*",
                ignore_unavailable=True,
                allow_no_indices=True,
                allow_partial_search_results=False,
                size=0,
                query={"bool": {"filter": [{"term": {"venue": venue}}, {"range": {"@timestamp": times}}]}},
                aggs={
                    "models": {
                        "terms": {"field": "model_digest", "size": _MODELS},
                        "aggs": {name: {"sum": {"field": name}} for name in _SUMS},
                    }
                },
            ).body

        found = self._sink.query(search).get("aggregations", {}).get("models", {}).get("buckets", [])
        return {
            each["key"]: BrierSums(
                round(each["predictions"]["value"]), each["brier_sum"]["value"], each["prior_brier_sum"]["value"]
            )
            for each in found
        }

    def served_model(self) -> ServedModel | None:
        """Return the model that inference serves, expired or not; None if it has none or does not respond."""
        try:
            response = self._pool.request("GET", self._url)
            if response.status != 200:
                return None
            body = orjson.loads(response.data)
            return ServedModel(str(body["model_digest"]), int(body["expires_at_ms"]))
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            log.debug("served model unknown", extra={"reason": str(error)})
            return None
