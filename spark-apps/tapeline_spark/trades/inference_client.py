"""Calls the inference service once for the rows of a batch.

A failed call becomes the prediction state of its trades, never a number and never a lost trade.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pybreaker
import urllib3
from tapeline import names
from tapeline.enums import PredictionState
from tapeline.model import features
from tapeline_clients import http
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

log = logging.getLogger(__name__)

_SCHEMA: Final = pa.schema([(name, pa.float32()) for name in features.FEATURE_NAMES])
_STATES: Final = frozenset({PredictionState.MODEL_UNAVAILABLE, PredictionState.MODEL_EXPIRED})


@dataclass(frozen=True, slots=True)
class Predictions:
    """Probabilities of some rows, or the state that replaces them.

    Attributes:
        state: `ok`, or the reason for no probabilities.
        probability: (n,) float64 in [0, 1]; empty unless `ok`.
        threshold: least probability for prediction 1.
        model_digest: digest of the model; None unless `ok`.
    """

    state: PredictionState
    probability: npt.NDArray[np.float64]
    threshold: float = 0.5
    model_digest: str | None = None


class _NoResponse(Exception):
    """The service did not respond, or responded with something unusable."""


class _NoPrediction(Exception):
    """The service responded that it has no prediction."""

    def __init__(self, state: PredictionState) -> None:
        super().__init__(state)
        self.state = state


class InferenceClient:
    """Client of /predict with a timeout, one retry with jitter and a circuit breaker."""

    def __init__(self, url: str, timeout_s: float, pause_s: float, on_state: Callable[[str | None], None]) -> None:
        """Create the client; sends nothing.

        Args:
            url: address of the service, without a path.
            timeout_s: timeout of one call.
            pause_s: seconds without calls after a failure.
            on_state: called with the reason for no predictions, or None.
        """
        self._url = f"{url.rstrip('/')}/predict"
        timeout = urllib3.Timeout(connect=min(0.5, timeout_s), read=timeout_s)
        self._pool = urllib3.PoolManager(maxsize=2, timeout=timeout, retries=False)
        self._breaker = pybreaker.CircuitBreaker(fail_max=1, reset_timeout=pause_s, exclude=[_NoPrediction])
        self._on_state = on_state
        # pyarrow's first array imports pandas if it is installed, which can take longer than the timeout.
        _encode(np.zeros((1, len(features.FEATURE_NAMES)), dtype=np.float32))
        self._headers = {"Content-Type": names.MEDIA_TYPE_ARROW, "X-Feature-Hash": features.schema_hash()}

    def predict(self, matrix: npt.NDArray[np.float32]) -> Predictions:
        """Return the probabilities of (n, k) rows in their order, or the state that replaces them."""
        if not len(matrix):
            return Predictions(PredictionState.OK, np.empty(0))
        body = _encode(matrix)
        try:
            predictions: Predictions = self._breaker.call(self._call_with_retry, body, len(matrix))
        except _NoPrediction as no_prediction:
            self._on_state(f"inference answered {no_prediction.state}")
            return Predictions(no_prediction.state, np.empty(0))
        except (_NoResponse, pybreaker.CircuitBreakerError) as error:
            self._on_state(str(error.__cause__ or error))
            return Predictions(PredictionState.MODEL_UNAVAILABLE, np.empty(0))
        self._on_state(None)
        return predictions

    def _call_with_retry(self, body: bytes, count: int) -> Predictions:
        retrying = Retrying(
            retry=retry_if_exception_type(_NoResponse),
            stop=stop_after_attempt(2),
            wait=wait_random(0.01, 0.05),
            reraise=True,
        )
        return retrying(self._call, body, count)

    def _call(self, body: bytes, count: int) -> Predictions:
        try:
            response = self._pool.request("POST", self._url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise _NoResponse(f"inference did not respond: {error}") from error
        if response.status != 200:
            raise self._error_from_response(response.status, response.data)
        probability = _decode(response.data)
        if len(probability) != count or not np.all((probability >= 0) & (probability <= 1)):
            raise _NoResponse(f"{count} rows were sent, {len(probability)} probabilities came, or one not in 0..1")
        threshold = float(response.headers["X-Model-Threshold"])
        return Predictions(PredictionState.OK, probability, threshold, response.headers["X-Model-Digest"])

    def _error_from_response(self, status: int, body: bytes) -> Exception:
        try:
            code = orjson.loads(body).get("error")
        except (orjson.JSONDecodeError, AttributeError):
            code = None
        if status == 503 and code in _STATES:
            return _NoPrediction(PredictionState(code))
        if 400 <= status < 500 and not http.is_transient(status):
            # A retry changes nothing: the API contract between stream and inference is broken.
            log.error("inference rejected the request", extra={"status": status, "code": code})
            return _NoPrediction(PredictionState.MODEL_UNAVAILABLE)
        return _NoResponse(f"inference answered {status} {code}")


def _encode(matrix: npt.NDArray[np.float32]) -> bytes:
    columns = [pa.array(np.ascontiguousarray(matrix[:, i])) for i in range(matrix.shape[1])]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA) as writer:
        writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _decode(body: bytes) -> npt.NDArray[np.float64]:
    try:
        table = pa.ipc.open_stream(body).read_all()
        column = table.column("probability").combine_chunks()
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise _NoResponse(f"inference answered something that is no Arrow stream: {error}") from error
