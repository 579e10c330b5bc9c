import asyncio
import time

import pytest
from support import aeventually
from tapeline_notifier.sent_log import SentLog

from unit.notifier.botapi import BotApi
from unit.notifier.factories import SenderHarness, alert, now_ms, telegram, webhook, write_targets


@pytest.fixture
def api():
    with BotApi().serving() as running:
        yield running


def phone(tmp_path, api, **changed):
    return write_targets(tmp_path, telegram(tmp_path, api.url, **changed))[0]


async def test_alerts_in_one_group_wait_arrive_in_one_message_once(api, tmp_path):
    harness = SenderHarness(tmp_path, phone(tmp_path, api, group_wait_s=0.2))
    async with harness.running():
        for number in (1, 2, 3, 2, 1):
            assert harness.sender.enqueue(alert(number))
        await aeventually(lambda: len(harness.finalised) == 3, "all are finalised", 5)
        assert not harness.sender.enqueue(alert(1)), "the alert is already finalised"
    (text,) = api.texts
    assert [f"SYM{n}USDT" in text for n in (1, 2, 3)] == [True] * 3
    assert harness.total("tapeline_notifier_alerts_finalised_total", target="phone", outcome="sent") == 3
    assert harness.health.ready()[0]


async def test_flood_control_delay_is_respected_and_no_alert_is_lost(api, tmp_path):
    api.flood(2)
    began = time.monotonic()
    harness = SenderHarness(tmp_path, phone(tmp_path, api))
    async with harness.running():
        harness.sender.enqueue(alert(1))
        await aeventually(lambda: not harness.health.ready()[0], "health shows the reason", 5)
        assert "Too Many Requests" in str(harness.health.ready()[1])
        await aeventually(lambda: harness.finalised, "the alert is finalised", 10)
    assert time.monotonic() - began >= 2
    assert len(api.requests) <= 3, "no attempt before the requested delay"
    assert len(api.texts) == 1 and "Perhaps" not in api.texts[0]
    assert harness.health.ready()[0]


async def test_repeated_server_errors_end_in_one_message(api, tmp_path):
    api.faults = [500, 502, 429, 503, 401, 403]
    api.retry_after_s = 0
    harness = SenderHarness(tmp_path, phone(tmp_path, api))
    async with harness.running():
        harness.sender.enqueue(alert(1))
        await aeventually(lambda: harness.finalised, "the alert is finalised", 10)
    assert len(api.texts) == 1
    # After a 500 the message may have arrived, so the text marks it as a repeat.
    assert "Perhaps sent before" in api.texts[0]


async def test_a_lost_response_repeats_the_message_and_marks_it(api, tmp_path):
    api.faults = ["lost"]
    harness = SenderHarness(tmp_path, phone(tmp_path, api))
    async with harness.running():
        harness.sender.enqueue(alert(1))
        await aeventually(lambda: harness.finalised, "the alert is finalised", 10)
    assert ["Perhaps sent before" in text for text in api.texts] == [False, True]
    assert harness.total("tapeline_notifier_redeliveries_total", target="phone") == 1


async def test_a_webhook_repeat_has_the_same_idempotency_key(api, tmp_path):
    api.faults = ["reset"]
    harness = SenderHarness(tmp_path, write_targets(tmp_path, webhook(tmp_path, api.url))[0])
    async with harness.running():
        harness.sender.enqueue(alert(1))
        await aeventually(lambda: harness.finalised, "the alert is finalised", 10)
    assert len({headers["Idempotency-Key"] for headers, _ in api.hooks}) == 1
    assert len({headers["raw"] for headers, _ in api.hooks}) == 1
    assert len(api.hooks) == 2


async def test_a_refused_message_is_retried_slowly_until_repaired(api, tmp_path):
    api.chats.clear()
    harness = SenderHarness(tmp_path, phone(tmp_path, api), refused_retry_s=0.3)
    async with harness.running():
        harness.sender.enqueue(alert(1))
        await aeventually(lambda: "chat not found" in str(harness.health.ready()[1]), "health shows the reason", 5)
        attempts = len(api.requests)
        api.chats.add("-1001234567890")
        await aeventually(lambda: harness.finalised, "the alert is finalised", 5)
    assert (len(api.texts), len(api.requests) - attempts) == (1, 1)
    assert "Perhaps" not in api.texts[0]


async def test_expired_alerts_are_not_sent_and_are_counted(api, tmp_path):
    api.chats.clear()
    harness = SenderHarness(tmp_path, phone(tmp_path, api), max_age_s=0.6, refused_retry_s=0.1)
    async with harness.running():
        harness.sender.enqueue(alert(1))
        harness.sender.enqueue(alert(2, raised_at=now_ms() - 10_000))
        await aeventually(lambda: len(harness.finalised) == 2, "both are finalised", 5)
        api.chats.add("-1001234567890")
        harness.sender.enqueue(alert(3))
        await aeventually(lambda: len(api.texts) == 1, "the next one arrives", 5)
    assert "SYM3USDT" in api.texts[0]
    assert harness.total("tapeline_notifier_alerts_finalised_total", target="phone", outcome="expired") == 2


async def test_a_stop_finishes_the_request_in_flight_and_repeats_nothing(api, tmp_path):
    api.hold_responses.set()
    harness = SenderHarness(tmp_path, phone(tmp_path, api), http_timeout_s=5.0)
    async with harness.running():
        harness.sender.enqueue(alert(1))
        await aeventually(lambda: api.texts, "it has arrived", 5)
        harness.sender.stop()
        await asyncio.sleep(0)
        assert harness.finalised == []
        api.hold_responses.clear()
    assert harness.finalised == [alert(1).alert_id]
    log = SentLog(tmp_path / "state")
    assert log.is_finalised("phone", alert(1).alert_id) and log.unfinished("phone") == []
    log.close()


async def test_a_stop_during_a_retry_delay_starts_no_attempt_and_the_next_process_sends_it_unmarked(api, tmp_path):
    api.flood(2)
    first = SenderHarness(tmp_path, phone(tmp_path, api))
    async with first.running():
        first.sender.enqueue(alert(1))
        await aeventually(lambda: api.requests, "the first attempt", 5)
    attempts, api.flooded_until = len(api.requests), 0.0
    second = SenderHarness(tmp_path, phone(tmp_path, api))
    async with second.running():
        # The same record, read again from Kafka.
        assert second.sender.enqueue(alert(1))
        await aeventually(lambda: second.finalised, "the alert is finalised", 5)
    assert (attempts, len(api.requests), len(api.texts)) == (1, 2, 1)
    assert "Perhaps" not in api.texts[0]
    assert second.finalised == [alert(1).alert_id]


async def test_a_target_queues_only_matching_alerts(api, tmp_path):
    harness = SenderHarness(tmp_path, phone(tmp_path, api, least_severity="critical"))
    assert not harness.sender.enqueue(alert(1))
    assert len(harness.sender) == 0
    harness.sent.close()
    await harness.transport.aclose()
