"""A notifier in its pod, before a server on this machine that behaves like Telegram and takes webhooks."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

import yaml
from unit.notifier.botapi import CHAT, TOKEN, BotApi

from cluster import platform
from cluster.kube import apply

KEY = "a key of the test's own, of no worth"
SECRET = "tapeline-test-targets"
# Something that every market does every minute.
RULES = yaml.safe_dump(
    {"rules": [{"name": "moves", "kind": "price_move", "severity": "info", "window": "1m", "threshold_bp": 1}]}
)


def make_secret(api: BotApi) -> None:
    """Make the Secret that the targets name."""
    data = {"token": TOKEN, "url": f"{api.url}/hook", "key": KEY}
    metadata = {"name": SECRET, "namespace": platform.NAMESPACE}
    answer = apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}])
    assert answer.code == 0, answer.err


def values(api: BotApi) -> dict[str, Any]:
    """Return values of the notifier: a chat and a webhook, and the way to them."""
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


def ids(api: BotApi) -> list[str]:
    """Return the ids of the alerts that the webhook took, sorted, repetitions too; a wrong signature fails."""
    found = []
    for headers, body in list(api.hooks):
        signature = hmac.new(KEY.encode(), headers["raw"].encode(), hashlib.sha256).hexdigest()
        assert headers["X-Tapeline-Signature"] == f"sha256={signature}", json.dumps(headers)
        found += [str(alert["alert_id"]) for alert in body["alerts"]]
    return sorted(found)


def counted_in_chat(api: BotApi) -> int:
    """Return how many alerts the chat was told, those that no longer fitted into a message too."""
    lines = [line for text in list(api.texts) for line in text.splitlines()]
    more = [int(line.split()[2]) for line in lines if line.startswith("... and ")]
    return sum(line.startswith("[") for line in lines) + sum(more)
