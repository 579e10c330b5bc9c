import asyncio
import time

import pytest
from support import aeventually
from tapeline_notifier.sent import SentLog

from unit.notifier.botapi import BotApi
from unit.notifier.made import Sending, alert, now_ms, telegram, webhook, written


@pytest.fixture
def api():
    with BotApi().serving() as running:
        yield running


def phone(tmp_path, api, **changed):
    return written(tmp_path, telegram(tmp_path, api.url, **changed))[0]


async def test_alerts_that_come_together_arrive_in_one_message_once(api, tmp_path):
    sending = Sending(tmp_path, phone(tmp_path, api, group_wait_s=0.2))
    async with sending.running():
        for number in (1, 2, 3, 2, 1):
            assert sending.sender.take(alert(number))
        await aeventually(lambda: len(sending.settled) == 3, "all are settled", 5)
        assert not sending.sender.take(alert(1)), "it has been told"
    (text,) = api.texts
    assert [f"SYM{n}USDT" in text for n in (1, 2, 3)] == [True] * 3
    assert sending.total("tapeline_notifier_alerts_settled_total", target="phone", outcome="sent") == 3
    assert sending.health.ready()[0]


async def test_flood_control_is_obeyed_to_the_second_and_nothing_is_lost(api, tmp_path):
    api.flood(2)
    began = time.monotonic()
    sending = Sending(tmp_path, phone(tmp_path, api))
    async with sending.running():
        sending.sender.take(alert(1))
        await aeventually(lambda: not sending.health.ready()[0], "health says why", 5)
        assert "Too Many Requests" in str(sending.health.ready()[1])
        await aeventually(lambda: sending.settled, "it is settled", 10)
    assert time.monotonic() - began >= 2
    assert len(api.requests) <= 3, "asked for patience, it was patient"
    assert len(api.texts) == 1 and "Perhaps" not in api.texts[0]
    assert sending.health.ready()[0]


async def test_a_bad_hour_of_the_server_ends_in_one_message(api, tmp_path):
    api.mood = [500, 502, 429, 503, 401, 403]
    api.retry_after_s = 0
    sending = Sending(tmp_path, phone(tmp_path, api))
    async with sending.running():
        sending.sender.take(alert(1))
        await aeventually(lambda: sending.settled, "it is settled", 10)
    assert len(api.texts) == 1
    # Nobody can know what a 500 means, so people are told that it may be the second time.
    assert "Perhaps sent before" in api.texts[0]


async def test_an_answer_that_is_lost_doubles_the_message_and_says_so(api, tmp_path):
    api.mood = ["lost"]
    sending = Sending(tmp_path, phone(tmp_path, api))
    async with sending.running():
        sending.sender.take(alert(1))
        await aeventually(lambda: sending.settled, "it is settled", 10)
    assert ["Perhaps sent before" in text for text in api.texts] == [False, True]
    assert sending.total("tapeline_notifier_repeats_total", target="phone") == 1


async def test_a_webhook_can_tell_the_repetition_by_its_key(api, tmp_path):
    api.mood = ["cut"]
    sending = Sending(tmp_path, written(tmp_path, webhook(tmp_path, api.url))[0])
    async with sending.running():
        sending.sender.take(alert(1))
        await aeventually(lambda: sending.settled, "it is settled", 10)
    assert len({headers["Idempotency-Key"] for headers, _ in api.hooks}) == 1
    assert len({headers["raw"] for headers, _ in api.hooks}) == 1
    assert len(api.hooks) == 2


async def test_what_a_person_must_repair_is_tried_slowly_until_it_is(api, tmp_path):
    api.chats.clear()
    sending = Sending(tmp_path, phone(tmp_path, api), refused_retry_s=0.3)
    async with sending.running():
        sending.sender.take(alert(1))
        await aeventually(lambda: "chat not found" in str(sending.health.ready()[1]), "health says why", 5)
        asked = len(api.requests)
        api.chats.add("-1001234567890")
        await aeventually(lambda: sending.settled, "it is settled", 5)
    assert (len(api.texts), len(api.requests) - asked) == (1, 1)
    assert "Perhaps" not in api.texts[0]


async def test_what_nobody_wants_to_hear_any_more_is_given_up_and_counted(api, tmp_path):
    api.chats.clear()
    sending = Sending(tmp_path, phone(tmp_path, api), max_age_s=0.6, refused_retry_s=0.1)
    async with sending.running():
        sending.sender.take(alert(1))
        sending.sender.take(alert(2, raised_at=now_ms() - 10_000))
        await aeventually(lambda: len(sending.settled) == 2, "both are settled", 5)
        api.chats.add("-1001234567890")
        sending.sender.take(alert(3))
        await aeventually(lambda: len(api.texts) == 1, "the next one arrives", 5)
    assert "SYM3USDT" in api.texts[0]
    assert sending.total("tapeline_notifier_alerts_settled_total", target="phone", outcome="expired") == 2


async def test_a_stop_lets_the_request_under_way_end_and_doubles_nothing(api, tmp_path):
    api.hold.set()
    sending = Sending(tmp_path, phone(tmp_path, api), http_timeout_s=5.0)
    async with sending.running():
        sending.sender.take(alert(1))
        await aeventually(lambda: api.texts, "it has arrived", 5)
        sending.sender.stop()
        await asyncio.sleep(0)
        assert sending.settled == []
        api.hold.clear()
    assert sending.settled == [alert(1).alert_id]
    log = SentLog(tmp_path / "state")
    assert log.is_settled("phone", alert(1).alert_id) and log.begun("phone") == []
    log.close()


async def test_a_stop_during_a_pause_begins_no_other_try_and_the_next_process_sends_it_without_doubt(api, tmp_path):
    api.flood(2)
    first = Sending(tmp_path, phone(tmp_path, api))
    async with first.running():
        first.sender.take(alert(1))
        await aeventually(lambda: api.requests, "it was tried", 5)
    asked, api.flooded_until = len(api.requests), 0.0
    second = Sending(tmp_path, phone(tmp_path, api))
    async with second.running():
        # The same record, read again from Kafka.
        assert second.sender.take(alert(1))
        await aeventually(lambda: second.settled, "it is settled", 5)
    assert (asked, len(api.requests), len(api.texts)) == (1, 2, 1)
    assert "Perhaps" not in api.texts[0]
    assert second.settled == [alert(1).alert_id]


async def test_a_target_takes_only_what_it_wants(api, tmp_path):
    sending = Sending(tmp_path, phone(tmp_path, api, least_severity="critical"))
    assert not sending.sender.take(alert(1))
    assert len(sending.sender) == 0
    sending.sent.close()
    await sending.courier.aclose()
