"""One call to the inference service for the rows of a batch; when it fails, that is the answer.

A failure is a state of the trades it concerns, never a number and never a lost trade.
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
from tapeline.model import features
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

log = logging.getLogger(__name__)

_SCHEMA: Final = pa.schema([(name, pa.float32()) for name in features.FEATURE_NAMES])
_STATES: Final = frozenset({names.STATE_MODEL_UNAVAILABLE, names.STATE_MODEL_EXPIRED})


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities of some rows, or the state that stands in their place.

    Attributes:
        state: `ok`, or why there are none.
        probability: (n,) float64 in [0, 1]; empty unless `ok`.
        threshold: from which probability on the prediction is 1.
        model_digest: which model answered; None unless `ok`.
    """

    state: str
    probability: npt.NDArray[np.float64]
    threshold: float = 0.5
    model_digest: str | None = None


class _NoAnswer(Exception):
    """The service did not answer, or not in a way that can be used."""


class _Refusal(Exception):
    """The service answered that it has no number to give."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Scorer:
    """Client of /predict with a deadline, one retry with jitter, and a breaker."""

    def __init__(self, url: str, timeout_s: float, pause_s: float, on_state: Callable[[str | None], None]) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: address of the service, without a path.
            timeout_s: deadline of one call.
            pause_s: how long the service is left alone after it failed.
            on_state: told why there are no numbers, or None when there are.
        """
        self._url = f"{url.rstrip('/')}/predict"
        timeout = urllib3.Timeout(connect=min(0.5, timeout_s), read=timeout_s)
        self._pool = urllib3.PoolManager(maxsize=2, timeout=timeout, retries=False)
        self._breaker = pybreaker.CircuitBreaker(fail_max=1, reset_timeout=pause_s, exclude=[_Refusal])
        self._on_state = on_state
        # pyarrow's first array imports pandas where there is one, which can take longer than a deadline.
        _encode(np.zeros((1, len(features.FEATURE_NAMES)), dtype=np.float32))
        self._headers = {"Content-Type": names.MEDIA_TYPE_ARROW, "X-Feature-Hash": features.schema_hash()}

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Return the probabilities of (n, k) rows in their order, or the state that replaces them."""
        if not len(matrix):
            return Scores(names.STATE_OK, np.empty(0))
        body = _encode(matrix)
        try:
            scores: Scores = self._breaker.call(self._retried, body, len(matrix))
        except _Refusal as refusal:
            self._on_state(f"inference answered {refusal.state}")
            return Scores(refusal.state, np.empty(0))
        except (_NoAnswer, pybreaker.CircuitBreakerError) as error:
            self._on_state(str(error.__cause__ or error))
            return Scores(names.STATE_MODEL_UNAVAILABLE, np.empty(0))
        self._on_state(None)
        return scores

    def _retried(self, body: bytes, count: int) -> Scores:
        retrying = Retrying(
            retry=retry_if_exception_type(_NoAnswer),
            stop=stop_after_attempt(2),
            wait=wait_random(0.01, 0.05),
            reraise=True,
        )
        return retrying(self._call, body, count)

    def _call(self, body: bytes, count: int) -> Scores:
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise _NoAnswer(f"inference did not answer: {error}") from error
        if answer.status != 200:
            raise self._refusal(answer.status, answer.data)
        probability = _decode(answer.data)
        if len(probability) != count or not np.all((probability >= 0) & (probability <= 1)):
            raise _NoAnswer(f"{count} rows were sent, {len(probability)} probabilities came, or one not in 0..1")
        threshold = float(answer.headers["X-Model-Threshold"])
        return Scores(names.STATE_OK, probability, threshold, answer.headers["X-Model-Digest"])

    def _refusal(self, status: int, body: bytes) -> Exception:
        try:
            code = orjson.loads(body).get("error")
        except (orjson.JSONDecodeError, AttributeError):
            code = None
        if status == 503 and code in _STATES:
            return _Refusal(code)
        if 400 <= status < 500:
            # Repeating it changes nothing: a contract between two of our parts is broken.
            log.error("inference refused a batch", extra={"status": status, "code": code})
            return _Refusal(names.STATE_MODEL_UNAVAILABLE)
        return _NoAnswer(f"inference answered {status} {code}")


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
        raise _NoAnswer(f"inference answered something that is no Arrow stream: {error}") from error
