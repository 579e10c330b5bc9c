"""Runs the notifier as a process on a real Kafka."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support import eventually, logged
from tapeline.records.alert import Alert


def make_topic(bootstrap: str, partitions: int = 1) -> str:
    """Create a topic for one test."""
    name = f"alerts-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(30)
    return name


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def produce_alerts(bootstrap: str, topic: str, alerts: Sequence[Alert]) -> None:
    produce(bootstrap, topic, *(alert.model_dump_json().encode() for alert in alerts))


class Notifier:
    """Starts and stops the process; all processes append to one log file."""

    def __init__(self, folder: Path, bootstrap: str, topic: str, targets: Sequence[dict[str, Any]], **env: str) -> None:
        (folder / "targets.yaml").write_text(yaml.safe_dump({"targets": list(targets)}))
        quick = {"HTTP_TIMEOUT_S": "10", "RETRY_LEAST_S": "0.1", "RETRY_MOST_S": "0.5", "KAFKA_CHECK_S": "0.5"}
        own = {
            "TARGETS": str(folder / "targets.yaml"),
            "STATE": str(folder / "state"),
            "KAFKA_BOOTSTRAP": bootstrap,
            "TOPIC_ALERTS": topic,
            "GROUP": f"notifier-{topic}",
            "HEALTH_PORT": "0",
        }
        self.log = folder / "notifier.log"
        self.log.touch()
        self._env = os.environ | {f"NOTIFIER_{name}": value for name, value in (quick | own | env).items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "tapeline_notifier"]
            self._process = subprocess.Popen(command, env=self._env, stdout=log, stderr=subprocess.STDOUT)

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal, wait, and return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def sent_alerts(self) -> int:
        """Return the alerts logged as sent; the log line follows the server's acceptance."""
        return sum(int(record["alerts"]) for record in logged(self.log) if record["message"] == "message sent")

    def ready(self) -> bool:
        """Return whether the newest process is ready."""
        ports = [record["health_port"] for record in logged(self.log) if "health_port" in record]
        if not ports:
            return False
        try:
            return httpx.get(f"http://127.0.0.1:{ports[-1]}/health/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_ready(self) -> None:
        eventually(self.ready, "the notifier is ready", 30)

    def __enter__(self) -> "Notifier":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_ended:
            self.end()
