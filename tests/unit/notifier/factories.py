"""Factories of alerts, target files and senders for the tests of the notifier."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from tapeline.records.alert import Alert
from tapeline.service.clock import now_ms
from tapeline.service.health import Health
from tapeline_notifier.metrics import Metrics
from tapeline_notifier.sender import Sender, health_condition
from tapeline_notifier.sent_log import SentLog
from tapeline_notifier.settings import Settings
from tapeline_notifier.targets import Telegram, Webhook, load
from tapeline_notifier.transport import HttpTransport

from unit.notifier.botapi import CHAT, TOKEN

NOW_MS = 1_790_000_000_000


def alert(number: int = 1, **changed: Any) -> Alert:
    """Return an alert; each number has its own alert id and symbol."""
    symbol = f"SYM{number}USDT"
    fields = {
        "alert_id": f"move|spot|{symbol}|{number}",
        "rule": "move",
        "kind": "price_move",
        "severity": "warning",
        "venue": "bybit",
        "market_type": "spot",
        "symbol": symbol,
        "value": 210.5,
        "threshold": 200.0,
        "unit": "bp",
        "message": f"{symbol} rose by 2.1 % within 5 minutes",
        "began_at": NOW_MS,
        "raised_at": now_ms(),
    }
    return Alert(**fields | changed)


def settings(folder: Path, **changed: Any) -> Settings:
    """Return settings with short retry delays."""
    quick = {"http_timeout_s": 0.5, "retry_least_s": 0.05, "retry_most_s": 0.2, "refused_retry_s": 0.2}
    return Settings(targets=folder / "targets.yaml", state=folder / "state", health_port=0, **quick | changed)


def telegram(folder: Path, url: str, **changed: Any) -> dict[str, Any]:
    """Return a chat as in the targets file; writes its token file."""
    (folder / "token").write_text(f"{TOKEN}\n")
    plain = {"name": "phone", "kind": "telegram", "token_file": str(folder / "token"), "chat_id": CHAT}
    return plain | {"api_url": url, "pause_s": 0, "group_wait_s": 0, "cool_down_s": 0} | changed


def webhook(folder: Path, url: str, **changed: Any) -> dict[str, Any]:
    """Return a webhook as in the targets file; writes its URL file."""
    (folder / "url").write_text(f"{url}/hook")
    plain = {"name": "hook", "kind": "webhook", "url_file": str(folder / "url")}
    return plain | {"pause_s": 0, "group_wait_s": 0, "cool_down_s": 0} | changed


def write_targets(folder: Path, *targets: dict[str, Any]) -> tuple[Telegram | Webhook, ...]:
    """Write the targets file, and load it as the service does."""
    path = folder / "targets.yaml"
    path.write_text(yaml.safe_dump({"targets": list(targets)}))
    return load(path)


class SenderHarness:
    """Runs one sender as the service does."""

    def __init__(self, folder: Path, target: Telegram | Webhook, **changed: Any) -> None:
        self.sent = SentLog(folder / "state")
        self.metrics, self.finalised = Metrics(), list[str]()
        self.health = Health((health_condition(target),), 60.0)
        self.settings = settings(folder, **changed)
        self.transport = HttpTransport(self.settings.http_timeout_s)
        self.sender = Sender(
            target, self.settings, self.sent, self.transport, self.metrics, self.health, self.finalised.append, now_ms
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SenderHarness"]:
        task = asyncio.create_task(self.sender.run())
        try:
            yield self
            self.sender.stop()
            await task
        finally:
            task.cancel()
            await self.transport.aclose()
            self.sent.close()

    def total(self, metric: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(metric, labels) or 0.0
