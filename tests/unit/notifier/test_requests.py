import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tapeline_notifier.errors import SecretUnusable
from tapeline_notifier.message import Message, text
from tapeline_notifier.requests import SIGNATURE, request_of, verdict

from unit.notifier.botapi import CHAT, PAGE, TOKEN
from unit.notifier.made import alert, telegram, webhook, written

API = "http://127.0.0.1:1"
MESSAGE = Message.of("phone", [alert(1)])


@pytest.fixture
def phone(tmp_path):
    return written(tmp_path, telegram(tmp_path, API))[0]


@pytest.fixture
def hook(tmp_path):
    (tmp_path / "key").write_text("k3y\n")
    return written(tmp_path, webhook(tmp_path, API, key_file=str(tmp_path / "key")))[0]


def told(status: int, description: str, **parameters: int) -> bytes:
    return json.dumps(
        {"ok": False, "error_code": status, "description": description, "parameters": parameters}
    ).encode()


def test_telegram_is_asked_as_its_interface_says(phone):
    request = request_of(phone, MESSAGE, is_repeat=False)
    assert request.url == f"{API}/bot{TOKEN}/sendMessage"
    content = json.loads(request.content)
    assert (content["chat_id"], content["text"]) == (CHAT, text(MESSAGE))
    assert "parse_mode" not in content, "then no sign of a symbol could break the message"


def test_a_request_that_is_printed_shows_no_secret(phone):
    assert TOKEN not in repr(request_of(phone, MESSAGE, is_repeat=False))


def test_a_webhook_is_signed_over_its_exact_bytes_and_known_by_its_message(hook):
    request = request_of(hook, MESSAGE, is_repeat=True)
    expected = hmac.new(b"k3y", request.content, hashlib.sha256).hexdigest()
    assert request.headers[SIGNATURE] == f"sha256={expected}"
    assert request.headers["Idempotency-Key"] == MESSAGE.message_id
    assert request_of(hook, MESSAGE, is_repeat=False).content == request.content


def test_a_secret_is_read_anew_each_time(hook, tmp_path):
    (tmp_path / "url").write_text("https://elsewhere.example/x")
    assert request_of(hook, MESSAGE, is_repeat=False).url == "https://elsewhere.example/x"
    (tmp_path / "url").write_text("ftp://elsewhere.example/x")
    with pytest.raises(SecretUnusable, match="url_file of hook") as refused:
        request_of(hook, MESSAGE, is_repeat=False)
    assert "elsewhere" not in str(refused.value)
    (tmp_path / "url").unlink()
    with pytest.raises(SecretUnusable):
        request_of(hook, MESSAGE, is_repeat=False)


@pytest.mark.parametrize(
    ("status", "content", "outcome", "wait_s"),
    [
        (200, b'{"ok": true, "result": {}}', "sent", None),
        (200, b"<html>captive portal</html>", "refused", None),
        (429, told(429, "Too Many Requests: retry after 7", retry_after=7), "busy", 7.0),
        (429, PAGE.encode(), "busy", None),
        (502, PAGE.encode(), "failed", None),
        (500, told(500, "Internal Server Error"), "failed", None),
        (400, told(400, "Bad Request: chat not found"), "refused", None),
        (401, told(401, "Unauthorized"), "refused", None),
        (403, told(403, "Forbidden: bot was kicked from the group chat"), "refused", None),
        (302, b"", "refused", None),
    ],
)
def test_what_telegram_says_is_understood(phone, status, content, outcome, wait_s):
    found = verdict(phone, status, {}, content)
    assert (found.outcome, found.wait_s) == (outcome, wait_s)
    assert outcome == "sent" or str(status) in found.reason


def test_a_group_that_became_a_supergroup_names_its_new_number(phone):
    content = told(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100987)
    assert "chat_id -100987" in verdict(phone, 400, {}, content).reason


@pytest.mark.parametrize(
    "strange", [b"[]", b"7", b'{"parameters": 5}', b'{"ok": false, "parameters": {"retry_after": "soon"}}']
)
def test_strange_answers_are_no_reason_to_fall_over(phone, strange):
    assert verdict(phone, 429, {}, strange).wait_s is None


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("12", 12.0, 12.0),
        ("-5", 0.0, 0.0),
        ("999999", 3600.0, 3600.0),
    ],
)
def test_a_webhooks_pause_in_seconds_is_read_and_bounded(hook, header, least, most):
    found = verdict(hook, 503, {"retry-after": header}, b"")
    assert found.outcome == "failed" and found.wait_s is not None
    assert least <= found.wait_s <= most


def test_a_webhooks_pause_until_a_date_is_read(hook):
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = verdict(hook, 503, {"retry-after": in_a_minute}, b"")
    assert found.wait_s is not None
    assert 30.0 <= found.wait_s <= 61.0


@pytest.mark.parametrize("header", ["soon", "nan", ""])
def test_a_pause_that_says_nothing_is_none(hook, header):
    assert verdict(hook, 429, {"retry-after": header}, b"").wait_s is None
