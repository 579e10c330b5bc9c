"""The real inference process on a real socket: hostile bodies, models swapped under load, signals.

Each probe of PROBES must be refused with its status, and the service must answer well afterwards.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest
from support import eventually, logged
from tapeline.model.features import FEATURE_NAMES
from tapeline.names import MEDIA_TYPE_ARROW
from unit.inference import factories

JSON = "application/json"
BODY_TIMEOUT_S = 2.0
X = factories.rows(50, seed=8)
GOOD = dict(zip(FEATURE_NAMES, X[0].tolist(), strict=True))
FIRST = FEATURE_NAMES[0]


class Inference:
    """One inference process."""

    def __init__(self, models: Path, log: Path) -> None:
        self.models, self.log = models, log
        settings = {"MODELS": models, "PORT": 0, "BODY_TIMEOUT_S": BODY_TIMEOUT_S, "POLL_S": 0.2}
        environment = os.environ | {f"INFERENCE_{name}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "tapeline_inference"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        self.port = eventually(self._port, "inference listens")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20.0)

    def _port(self) -> int:
        return next((int(one["port"]) for one in logged(self.log) if one["message"] == "listening"), 0)

    def ready(self) -> bool:
        return self.client.get("/health/ready").status_code == 200

    def digest(self) -> str:
        return str(self.client.get("/model").json().get("model_digest"))

    def post(self, body: bytes, content_type: str = JSON, **headers: str) -> httpx.Response:
        return self.client.post("/predict", content=body, headers={"Content-Type": content_type, **headers})

    def answers_well(self) -> bool:
        answer = self.post(arrow(table(X)), MEDIA_TYPE_ARROW)
        back = pa.ipc.open_stream(answer.content).read_all()["probability"].to_numpy()
        return np.array_equal(back, factories.expected_probabilities(X))

    def raw(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20.0)
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: inference\r\nContent-Type: application/json\r\n")
        return connection

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30.0)


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    """A service with a model, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("inference")
    factories.promoted(folder / "models")
    service = Inference(folder / "models", folder / "log")
    eventually(service.ready, "a model is in service")
    yield service
    service.stop()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Inference]:
    """A service of a test's own, without a model."""
    service = Inference(tmp_path / "models", tmp_path / "log")
    yield service
    service.stop()


def body(*rows: dict[str, object]) -> bytes:
    return json.dumps({"rows": rows}).encode()


def with_first(literal: str) -> bytes:
    return body({**GOOD, FIRST: "@"}).replace(b'"@"', literal.encode())


def table(x: np.ndarray, names: tuple[str, ...] = FEATURE_NAMES) -> pa.Table:
    return pa.table([pa.array(column.astype(np.float64)) for column in x.T], names=list(names))


def arrow(content: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, content.schema, options=options) as writer:
        writer.write_table(content)
    return sink.getvalue().to_pybytes()


def one_arrow(value: float | None) -> bytes:
    array = pa.array([value, *[1.0] * 49], pa.float64(), from_pandas=False)
    return arrow(table(X).set_column(2, FEATURE_NAMES[2], array))


PROBES = {
    "NaN": (422, JSON, with_first("NaN")),
    "Infinity": (422, JSON, with_first("Infinity")),
    "-Infinity": (422, JSON, with_first("-Infinity")),
    "beyond float64": (422, JSON, with_first("1e400")),
    "beyond float32": (422, JSON, with_first("1e39")),
    "the text nan": (422, JSON, with_first('"nan"')),
    "true": (422, JSON, with_first("true")),
    "a number as text": (422, JSON, with_first('"60000"')),
    "an unknown field": (422, JSON, body({**GOOD, "canary": 1})),
    "a missing field": (422, JSON, body({name: GOOD[name] for name in FEATURE_NAMES[1:]})),
    "a 4,000-digit integer": (422, JSON, with_first("1" + "0" * 4_000)),
    "a 5,000-digit integer": ((400, 422), JSON, with_first("1" + "0" * 5_000)),
    "nesting of 100,000": (400, JSON, b"[" * 100_000),
    "bad UTF-8": (400, JSON, b'{"rows": "\xff\xfe"}'),
    "no JSON": (400, JSON, b"rows"),
    "no body": (400, JSON, b""),
    "no rows": (422, JSON, body()),
    "too many rows": (422, JSON, body(*[GOOD] * 1_001)),
    "a wrong content type": (415, "text/plain", b"{}"),
    "no content type": (415, "", b"{}"),
    "5 MB": (413, JSON, b" " * 5_000_000),
    "other bytes as Arrow": (400, MEDIA_TYPE_ARROW, b"canary" * 100),
    "no Arrow": (400, MEDIA_TYPE_ARROW, b""),
    "Arrow cut short": (400, MEDIA_TYPE_ARROW, arrow(table(X))[:2_000]),
    "two Arrow streams": (400, MEDIA_TYPE_ARROW, arrow(table(X)) * 2),
    "compressed Arrow": (400, MEDIA_TYPE_ARROW, arrow(table(X), "zstd")),
    "a wrong column order": (422, MEDIA_TYPE_ARROW, arrow(table(X, FEATURE_NAMES[::-1]))),
    "a null in Arrow": (422, MEDIA_TYPE_ARROW, one_arrow(None)),
    "NaN in Arrow": (422, MEDIA_TYPE_ARROW, one_arrow(float("nan"))),
    "infinity in Arrow": (422, MEDIA_TYPE_ARROW, one_arrow(float("inf"))),
    "beyond float32 in Arrow": (422, MEDIA_TYPE_ARROW, one_arrow(1e39)),
    "too many Arrow rows": (422, MEDIA_TYPE_ARROW, arrow(table(factories.rows(20_001)))),
    "no Arrow rows": (422, MEDIA_TYPE_ARROW, arrow(table(X[:0]))),
}


@pytest.mark.parametrize("probe", PROBES)
def test_a_hostile_body_is_refused_and_the_service_answers_well_afterwards(inference: Inference, probe: str) -> None:
    expected, content_type, content = PROBES[probe]
    answer = inference.post(content, content_type)
    assert answer.status_code in (expected if isinstance(expected, tuple) else (expected,))
    assert set(answer.json()) == {"error", "message"}
    assert "canary" not in answer.text
    assert inference.answers_well()


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(4_096).split(b" ")[1])


def is_closed(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        while connection.recv(65_536):
            pass
    return True


def test_a_body_announced_as_100_mb_is_refused_before_it_is_sent(inference: Inference) -> None:
    with inference.raw() as connection:
        connection.sendall(b"Content-Length: 104857600\r\n\r\n")
        assert status_of(connection) == 413
        assert is_closed(connection)
    assert inference.answers_well()


def test_an_endless_chunked_body_is_cut_and_takes_no_memory(inference: Inference) -> None:
    process = psutil.Process(inference.process.pid)
    inference.answers_well()
    before, chunk, sent = process.memory_info().rss, b"10000\r\n" + b"x" * 65_536 + b"\r\n", 0
    with inference.raw() as connection:
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30:
                connection.sendall(chunk)
                sent += len(chunk)
    assert sent < 64 << 20
    assert process.memory_info().rss - before < 32 << 20
    assert inference.answers_well()


def test_a_body_that_trickles_in_is_refused_after_its_deadline(inference: Inference) -> None:
    with inference.raw() as connection:
        start_s = time.monotonic()
        connection.sendall(b"Content-Length: 1000\r\n\r\n{")
        assert status_of(connection) == 408
        assert time.monotonic() - start_s < BODY_TIMEOUT_S + 10.0
        assert is_closed(connection)
    assert inference.answers_well()


def test_a_client_that_hangs_up_in_its_body_disturbs_nobody(inference: Inference) -> None:
    with inference.raw() as connection:
        connection.sendall(b"Content-Length: 1000\r\n\r\n{")
    assert inference.answers_well()


def test_json_and_arrow_give_the_same_probabilities(inference: Inference) -> None:
    rows = [dict(zip(FEATURE_NAMES, row.tolist(), strict=True)) for row in X]
    assert inference.post(body(*rows)).json()["probabilities"] == factories.expected_probabilities(X).tolist()
    assert inference.answers_well()


def test_without_a_model_the_service_says_so_and_serves_the_first_that_comes(empty: Inference) -> None:
    assert empty.client.get("/health/live").status_code == 200
    ready, predict = empty.client.get("/health/ready"), empty.post(body(GOOD))
    assert (ready.status_code, predict.status_code, predict.json()["error"]) == (503, 503, "model_unavailable")
    assert "nothing has been promoted yet" in ready.text
    factories.promoted(empty.models)
    eventually(empty.ready, "the first model is in service")
    assert empty.answers_well()


class Load:
    """Clients that send requests without a pause and keep the responses."""

    def __init__(self, service: Inference, clients: int = 3) -> None:
        self.url, self.stopping = f"http://127.0.0.1:{service.port}", threading.Event()
        self.failures: list[str] = []
        self.answers: dict[str, set[bytes]] = {}
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        headers, content = {"Content-Type": MEDIA_TYPE_ARROW}, arrow(table(X))
        with httpx.Client(base_url=self.url, timeout=20.0) as client:
            while not self.stopping.is_set():
                answer = client.post("/predict", content=content, headers=headers)
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                else:
                    self.answers.setdefault(answer.headers["x-model-digest"], set()).add(answer.content)

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def probabilities(content: bytes) -> list[float]:
    return pa.ipc.open_stream(content).read_all()["probability"].to_pylist()


def test_models_swapped_under_load_fail_no_call_and_each_answer_is_of_its_digest(empty: Inference) -> None:
    seeds = dict.fromkeys(range(4), "")
    seeds[0] = factories.promoted(empty.models, factories.forest(seed=0))
    eventually(empty.ready, "the first model is in service")
    with Load(empty) as load:
        eventually(lambda: seeds[0] in load.answers, "the first model has answered")
        for seed in list(seeds)[1:]:
            seeds[seed] = factories.promoted(empty.models, factories.forest(seed=seed))
            eventually(lambda seed=seed: seeds[seed] in load.answers, f"model {seed} has answered")
    assert load.failures == []
    found = {digest: [probabilities(content) for content in contents] for digest, contents in load.answers.items()}
    assert found == {
        digest: [factories.expected_probabilities(X, seed=seed).tolist()] for seed, digest in seeds.items()
    }


def test_a_bad_new_model_is_refused_and_counted_while_the_old_one_serves(empty: Inference) -> None:
    good = factories.promoted(empty.models)
    eventually(empty.ready, "the good model is in service")
    bad = factories.bundle(empty.models, factories.forest(seed=1))
    (empty.models / bad / "forest.npz").write_bytes(b"damaged")
    (empty.models / "current").write_text(bad)
    counted = 'tapeline_model_refusals_total{reason="files"} 1.0'
    eventually(lambda: counted in empty.client.get("/metrics").text, "the bad model is refused")
    assert (empty.ready(), empty.digest(), empty.answers_well()) == (True, good, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_at_once_and_well(empty: Inference, number: signal.Signals) -> None:
    factories.promoted(empty.models)
    eventually(empty.ready, "a model is in service")
    idle = empty.raw()
    start_s = time.monotonic()
    assert empty.stop(number) == 0
    assert time.monotonic() - start_s < 10.0
    idle.close()
