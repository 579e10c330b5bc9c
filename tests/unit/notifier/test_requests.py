import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tapeline_notifier.errors import SecretUnusable
from tapeline_notifier.message import Message, text
from tapeline_notifier.requests import SIGNATURE, build_request, parse_response

from unit.notifier.botapi import CHAT, PAGE, TOKEN
from unit.notifier.factories import alert, telegram, webhook, write_targets

API = "http://127.0.0.1:1"
MESSAGE = Message.from_alerts("phone", [alert(1)])


@pytest.fixture
def phone(tmp_path):
    return write_targets(tmp_path, telegram(tmp_path, API))[0]


@pytest.fixture
def hook(tmp_path):
    (tmp_path / "key").write_text("k3y\n")
    return write_targets(tmp_path, webhook(tmp_path, API, key_file=str(tmp_path / "key")))[0]


def bot_api_error(status: int, description: str, **parameters: int) -> bytes:
    return json.dumps(
        {"ok": False, "error_code": status, "description": description, "parameters": parameters}
    ).encode()


def test_a_telegram_request_follows_the_bot_api(phone):
    request = build_request(phone, MESSAGE, is_repeat=False)
    assert request.url == f"{API}/bot{TOKEN}/sendMessage"
    content = json.loads(request.content)
    assert (content["chat_id"], content["text"]) == (CHAT, text(MESSAGE))
    assert "parse_mode" not in content, "without it no character of a symbol can break the message"


def test_the_repr_of_a_request_shows_no_secret(phone):
    assert TOKEN not in repr(build_request(phone, MESSAGE, is_repeat=False))


def test_a_webhook_is_signed_over_its_bytes_and_keyed_by_its_message(hook):
    request = build_request(hook, MESSAGE, is_repeat=True)
    expected = hmac.new(b"k3y", request.content, hashlib.sha256).hexdigest()
    assert request.headers[SIGNATURE] == f"sha256={expected}"
    assert request.headers["Idempotency-Key"] == MESSAGE.message_id
    assert build_request(hook, MESSAGE, is_repeat=False).content == request.content


def test_a_secret_is_read_for_each_request(hook, tmp_path):
    (tmp_path / "url").write_text("https://elsewhere.example/x")
    assert build_request(hook, MESSAGE, is_repeat=False).url == "https://elsewhere.example/x"
    (tmp_path / "url").write_text("ftp://elsewhere.example/x")
    with pytest.raises(SecretUnusable, match="url_file of hook") as refused:
        build_request(hook, MESSAGE, is_repeat=False)
    assert "elsewhere" not in str(refused.value)
    (tmp_path / "url").unlink()
    with pytest.raises(SecretUnusable):
        build_request(hook, MESSAGE, is_repeat=False)


@pytest.mark.parametrize(
    ("status", "content", "outcome", "wait_s"),
    [
        (200, b'{"ok": true, "result": {}}', "sent", None),
        (200, b"<html>captive portal</html>", "refused", None),
        (429, bot_api_error(429, "Too Many Requests: retry after 7", retry_after=7), "busy", 7.0),
        (429, PAGE.encode(), "busy", None),
        (408, b"", "busy", None),
        (425, b"", "busy", None),
        (501, b"", "failed", None),
        (502, PAGE.encode(), "failed", None),
        (500, bot_api_error(500, "Internal Server Error"), "failed", None),
        (400, bot_api_error(400, "Bad Request: chat not found"), "refused", None),
        (401, bot_api_error(401, "Unauthorized"), "refused", None),
        (403, bot_api_error(403, "Forbidden: bot was kicked from the group chat"), "refused", None),
        (302, b"", "refused", None),
    ],
)
def test_a_telegram_response_is_parsed(phone, status, content, outcome, wait_s):
    found = parse_response(phone, status, {}, content)
    assert (found.outcome, found.wait_s) == (outcome, wait_s)
    assert outcome == "sent" or str(status) in found.reason


def test_a_migrated_group_shows_its_new_chat_id(phone):
    content = bot_api_error(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100987)
    assert "chat_id -100987" in parse_response(phone, 400, {}, content).reason


@pytest.mark.parametrize(
    "content", [b"[]", b"7", b'{"parameters": 5}', b'{"ok": false, "parameters": {"retry_after": "soon"}}']
)
def test_unexpected_bodies_do_not_fail(phone, content):
    assert parse_response(phone, 429, {}, content).wait_s is None


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("12", 12.0, 12.0),
        ("-5", 0.0, 0.0),
        ("999999", 3600.0, 3600.0),
    ],
)
def test_a_retry_after_in_seconds_is_parsed_and_bounded(hook, header, least, most):
    found = parse_response(hook, 503, {"retry-after": header}, b"")
    assert found.outcome == "failed" and found.wait_s is not None
    assert least <= found.wait_s <= most


def test_a_retry_after_date_is_parsed(hook):
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = parse_response(hook, 503, {"retry-after": in_a_minute}, b"")
    assert found.wait_s is not None
    assert 30.0 <= found.wait_s <= 61.0


@pytest.mark.parametrize("header", ["soon", "nan", ""])
def test_an_invalid_retry_after_is_none(hook, header):
    assert parse_response(hook, 429, {"retry-after": header}, b"").wait_s is None
