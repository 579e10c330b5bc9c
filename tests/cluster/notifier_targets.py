"""Targets of a notifier in its pod: a server on this machine that behaves like Telegram and accepts webhooks."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

import yaml
from unit.notifier.botapi import CHAT, TOKEN, BotApi

from cluster import platform
from cluster.kube import apply

KEY = "a key for tests only"
SECRET = "tapeline-test-targets"
# A rule that every market matches every minute.
RULES = yaml.safe_dump(
    {"rules": [{"name": "moves", "kind": "price_move", "severity": "info", "window": "1m", "threshold_bp": 1}]}
)


def apply_secret(api: BotApi) -> None:
    """Apply the Secret that the targets name."""
    data = {"token": TOKEN, "url": f"{api.url}/hook", "key": KEY}
    metadata = {"name": SECRET, "namespace": platform.NAMESPACE}
    result = apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}])
    assert result.code == 0, result.err


def values(api: BotApi) -> dict[str, Any]:
    """Return values of the notifier: a chat, a webhook, and their addresses."""
    folder = f"/secrets/{SECRET}"
    quick = {"pause_s": 0, "group_wait_s": 0.5, "cool_down_s": 0}
    chat = {"name": "phone", "kind": "telegram", "token_file": f"{folder}/token", "chat_id": CHAT, "api_url": api.url}
    hook = {"name": "hook", "kind": "webhook", "url_file": f"{folder}/url", "key_file": f"{folder}/key"}
    address = urlsplit(api.url)
    return {
        "enabled": True,
        "targets": yaml.safe_dump({"targets": [chat | quick, hook | quick]}),
        "secrets": [{"name": SECRET, "keys": ["token", "url", "key"]}],
        "addresses": {"cidrs": [f"{address.hostname}/32"], "except": [], "ports": [address.port]},
    }


def alert_ids(api: BotApi) -> list[str]:
    """Return the sorted ids of the alerts that the webhook received, with repetitions; a wrong signature fails."""
    found = []
    for headers, body in list(api.hooks):
        signature = hmac.new(KEY.encode(), headers["raw"].encode(), hashlib.sha256).hexdigest()
        assert headers["X-Tapeline-Signature"] == f"sha256={signature}", json.dumps(headers)
        found += [str(alert["alert_id"]) for alert in body["alerts"]]
    return sorted(found)


def count_in_chat(api: BotApi) -> int:
    """Return the number of alerts sent to the chat, including those summarised as `... and N more`."""
    lines = [line for text in list(api.texts) for line in text.splitlines()]
    more = [int(line.split()[2]) for line in lines if line.startswith("... and ")]
    return sum(line.startswith("[") for line in lines) + sum(more)
