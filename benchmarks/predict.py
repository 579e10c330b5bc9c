"""One /predict call of 1,000 rows against the real process: Arrow, JSON, and no call at all.

One keep-alive connection on loopback, bodies encoded beforehand, responses read completely. The same forest predicts
in this process for comparison, in turn with the calls. Run from the root of the repository:
`python -m benchmarks.predict`.
"""

import functools
import http
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tapeline.model import bundle, features, labels
from tapeline.model.forest import Forest
from tapeline.names import MEDIA_TYPE_ARROW
from tapeline.service import clock
from tapeline_inference.compiled import CompiledForest
from tapeline_trainer.model.bundle import forest_from_sklearn

from benchmarks import forest as forests

ROWS: Final = 1_000
REPEATS: Final = 150
START_S: Final = 60.0
JSON: Final = "application/json"


def publish(models: Path, forest: Forest, x: npt.NDArray[np.float32]) -> None:
    """Write and promote a bundle of a forest."""
    now_ms = clock.now_ms()
    draft = bundle.Draft(
        kind="forest",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 3_600_000,
        label_version=labels.VERSION,
        training_from_ms=0,
        training_to_ms=now_ms,
        training_rows=forests.TRAINING_ROWS,
        data_digest="synthetic",
        metrics={},
        threshold=0.5,
        libraries={},
    )
    bundle.promote(models, bundle.write(models, forest, draft, x))


class Client:
    """Minimal HTTP client on one keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a complete request; return status and body of the response."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(1 << 16)
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(1 << 16)
        return int(head[9:12]), body


def post(body: bytes, content_type: str) -> bytes:
    """Return a complete request to /predict."""
    head = f"POST /predict HTTP/1.1\r\nHost: inference\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        client = Client(port)
        status, _ = client.send(b"GET /health/ready HTTP/1.1\r\nHost: inference\r\n\r\n")
        client.close()
    except OSError:
        return False
    return status == http.HTTPStatus.OK


@contextmanager
def serving(models: Path) -> Iterator[Client]:
    """Run the service until the block ends; yields a connection to it once it is ready."""
    port = _free_port()
    environment = os.environ | {"INFERENCE_MODELS": str(models), "INFERENCE_PORT": str(port)}
    command = [sys.executable, "-m", "tapeline_inference"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + START_S
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"inference was not ready within {START_S} s; run it alone to see its log")
            time.sleep(0.2)
        client = Client(port)
        yield client
        client.close()
    finally:
        process.terminate()
        process.wait(timeout=10.0)


def arrow_body(x: npt.NDArray[np.float32]) -> bytes:
    """Return rows encoded as the stream encodes them: float32 columns of one batch."""
    columns = [pa.array(np.ascontiguousarray(column)) for column in x.T]
    batch = pa.record_batch(columns, names=list(features.FEATURE_NAMES))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def json_body(x: npt.NDArray[np.float32]) -> bytes:
    """Return rows encoded as JSON."""
    rows = [dict(zip(features.FEATURE_NAMES, row, strict=True)) for row in x.astype(np.float64).tolist()]
    return json.dumps({"rows": rows}).encode()


def call(client: Client, request: bytes) -> bytes:
    """Return the body of the response to one request.

    Raises:
        RuntimeError: the status is not 200.
    """
    status, content = client.send(request)
    if status != http.HTTPStatus.OK:
        raise RuntimeError(f"response was {status} {content[:200]!r}; it must be 200")
    return content


def measure() -> dict[str, Any]:
    """Return the time of a call of 1,000 rows by encoding, and its ratio to an in-process prediction."""
    forest = forest_from_sklearn(forests.fitted())
    x, _ = forests.rows(ROWS, seed=5)
    compiled = CompiledForest(forest, forests.COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), forest, x[:50])
        with serving(Path(folder)) as client:
            methods: dict[str, Callable[[], Any]] = {
                "in_process": functools.partial(compiled.predict, x),
                "arrow": functools.partial(call, client, post(arrow_body(x), MEDIA_TYPE_ARROW)),
                "json": functools.partial(call, client, post(json_body(x), JSON)),
            }
            for method in methods.values():
                method()
            response = pa.ipc.open_stream(methods["arrow"]()).read_all()["probability"].to_numpy()
            times = forests.medians_ms(methods, REPEATS)
    return {
        "rows": ROWS,
        "identical": bool(np.array_equal(response, compiled.predict(x))),
        "median_ms": times,
        "arrow_over_in_process": times["arrow"] / times["in_process"],
        "json_over_in_process": times["json"] / times["in_process"],
        "json_over_arrow": times["json"] / times["arrow"],
    }


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write("\n")
