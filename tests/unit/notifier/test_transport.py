import socket

import pytest
from tapeline_notifier.message import Message
from tapeline_notifier.transport import DryRunTransport, HttpTransport

from unit.notifier.botapi import TOKEN, BotApi
from unit.notifier.factories import alert, telegram, webhook, write_targets

MESSAGE = Message.from_alerts("phone", [alert(1)])


@pytest.fixture
def api():
    with BotApi().serving() as running:
        yield running


@pytest.fixture
async def transport():
    http = HttpTransport(0.3)
    yield http
    await http.aclose()


async def test_a_message_arrives(api, transport, tmp_path):
    phone, hook = write_targets(tmp_path, telegram(tmp_path, api.url), webhook(tmp_path, api.url))
    assert (await transport.send(phone, MESSAGE, False)).outcome == "sent"
    assert (await transport.send(hook, MESSAGE, False)).outcome == "sent"
    assert len(api.texts) == len(api.hooks) == 1


@pytest.mark.parametrize("faults", ["lost", "unanswered", "reset", 502])
async def test_an_unknown_delivery_is_failed(api, transport, tmp_path, faults):
    (phone,) = write_targets(tmp_path, telegram(tmp_path, api.url))
    api.faults = [faults]
    assert (await transport.send(phone, MESSAGE, False)).outcome == "failed"


async def test_a_refused_connection_is_busy(transport, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        (phone,) = write_targets(tmp_path, telegram(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}"))
        found = await transport.send(phone, MESSAGE, False)
    assert found.outcome == "busy" and "ConnectError" in found.reason


async def test_a_wrong_token_or_address_is_refused_and_never_shown(api, transport, tmp_path):
    phone, hook = write_targets(tmp_path, telegram(tmp_path, api.url), webhook(tmp_path, api.url))
    (tmp_path / "token").write_text("999:wrong")
    (tmp_path / "url").write_text("http://s3cret.example:99999999/")
    for target in (phone, hook):
        found = await transport.send(target, MESSAGE, False)
        assert found.outcome == "refused"
        assert "999:wrong" not in found.reason and "s3cret" not in found.reason


async def test_a_dry_run_reads_no_secret_and_logs_the_message(tmp_path, caplog):
    (phone,) = write_targets(tmp_path, telegram(tmp_path, "http://127.0.0.1:1"))
    (tmp_path / "token").unlink()
    with caplog.at_level("INFO"):
        assert (await DryRunTransport().send(phone, MESSAGE, False)).outcome == "sent"
    (line,) = caplog.records
    assert "SYM1USDT" in line.__dict__["text"]
    assert TOKEN not in str(line.__dict__)
