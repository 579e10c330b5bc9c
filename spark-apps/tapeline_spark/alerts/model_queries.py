"""What is asked about models: how they did in a span of time, and when the served one expires. Thin."""

import logging
from typing import Any, Final, NamedTuple

import orjson
import urllib3
from elasticsearch import Elasticsearch
from tapeline import names

from tapeline_spark.alerts.rules import Sums
from tapeline_spark.elastic.sink import ElasticSink

log = logging.getLogger(__name__)

_MODELS: Final = 100
_TIMEOUT_S: Final = 2.0
_SUMS: Final = ("predictions", "brier_sum", "prior_brier_sum")


class Served(NamedTuple):
    """The model that inference has."""

    digest: str
    expires_ms: int


class Models:
    """Asks Elasticsearch and inference."""

    def __init__(self, sink: ElasticSink, inference_url: str) -> None:
        """Ask Elasticsearch by way of `sink`, which waits while it is away."""
        self._sink, self._url = sink, f"{inference_url.rstrip('/')}/model"
        self._pool = urllib3.PoolManager(maxsize=1, timeout=_TIMEOUT_S, retries=False)

    def scores(self, start_ms: int, stop_ms: int) -> dict[str, Sums]:
        """Return what each model's predictions of a span came to.

        Args:
            start_ms: first minute, ms UTC.
            stop_ms: first minute that is no longer meant.

        Raises:
            StreamError: Elasticsearch does not answer, or refuses.
        """

        def ask(client: Elasticsearch) -> Any:
            return client.search(
                index=f"{names.INDEX_SCORES_PREFIX}*",
                ignore_unavailable=True,
                allow_no_indices=True,
                allow_partial_search_results=False,
                size=0,
                query={"range": {"@timestamp": {"gte": start_ms, "lt": stop_ms}}},
                aggs={
                    "models": {
                        "terms": {"field": "model_digest", "size": _MODELS},
                        "aggs": {name: {"sum": {"field": name}} for name in _SUMS},
                    }
                },
            ).body

        found = self._sink.ask(ask).get("aggregations", {}).get("models", {}).get("buckets", [])
        return {
            each["key"]: Sums(
                round(each["predictions"]["value"]), each["brier_sum"]["value"], each["prior_brier_sum"]["value"]
            )
            for each in found
        }

    def served(self) -> Served | None:
        """Return the model that inference has, expired or not; None where it has none or does not answer."""
        try:
            answer = self._pool.request("GET", self._url)
            if answer.status != 200:
                return None
            told = orjson.loads(answer.data)
            return Served(str(told["model_digest"]), int(told["expires_at_ms"]))
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            log.debug("inference did not say which model it serves", extra={"reason": str(error)})
            return None
