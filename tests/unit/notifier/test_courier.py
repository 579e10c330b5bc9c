import socket

import pytest
from tapeline_notifier.courier import DryCourier, HttpCourier
from tapeline_notifier.message import Message

from unit.notifier.botapi import TOKEN, BotApi
from unit.notifier.made import alert, telegram, webhook, written

MESSAGE = Message.of("phone", [alert(1)])


@pytest.fixture
def api():
    with BotApi().serving() as running:
        yield running


@pytest.fixture
async def courier():
    made = HttpCourier(0.3)
    yield made
    await made.aclose()


async def test_a_message_arrives(api, courier, tmp_path):
    phone, hook = written(tmp_path, telegram(tmp_path, api.url), webhook(tmp_path, api.url))
    assert (await courier.carry(phone, MESSAGE, False)).outcome == "sent"
    assert (await courier.carry(hook, MESSAGE, False)).outcome == "sent"
    assert len(api.texts) == len(api.hooks) == 1


@pytest.mark.parametrize("mood", ["lost", "deaf", "cut", 502])
async def test_whatever_may_have_arrived_is_failed_and_no_more(api, courier, tmp_path, mood):
    (phone,) = written(tmp_path, telegram(tmp_path, api.url))
    api.mood = [mood]
    assert (await courier.carry(phone, MESSAGE, False)).outcome == "failed"


async def test_what_cannot_have_arrived_is_only_busy(courier, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        (phone,) = written(tmp_path, telegram(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}"))
        found = await courier.carry(phone, MESSAGE, False)
    assert found.outcome == "busy" and "ConnectError" in found.reason


async def test_a_wrong_token_or_address_is_refused_and_shown_nowhere(api, courier, tmp_path):
    phone, hook = written(tmp_path, telegram(tmp_path, api.url), webhook(tmp_path, api.url))
    (tmp_path / "token").write_text("999:wrong")
    (tmp_path / "url").write_text("http://s3cret.example:99999999/")
    for target in (phone, hook):
        found = await courier.carry(target, MESSAGE, False)
        assert found.outcome == "refused"
        assert "999:wrong" not in found.reason and "s3cret" not in found.reason


async def test_a_dry_run_reads_no_secret_and_says_what_it_would_send(tmp_path, caplog):
    (phone,) = written(tmp_path, telegram(tmp_path, "http://127.0.0.1:1"))
    (tmp_path / "token").unlink()
    with caplog.at_level("INFO"):
        assert (await DryCourier().carry(phone, MESSAGE, False)).outcome == "sent"
    (line,) = caplog.records
    assert "SYM1USDT" in line.__dict__["text"]
    assert TOKEN not in str(line.__dict__)
