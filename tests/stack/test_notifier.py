"""The notifier as a process on a real Kafka, with a fake of Telegram; killed in between."""

import json
import random
import re
import shutil
import signal
import time
from collections import Counter

import pytest
from support import eventually
from unit.notifier.botapi import TOKEN, BotApi
from unit.notifier.factories import alert, telegram, webhook

from stack.notifying import Notifier, make_topic, produce, produce_alerts

SYMBOL = re.compile(r"SYM\d+USDT(?=  move:)")


@pytest.fixture
def api():
    with BotApi().serving() as running:
        yield running


@pytest.fixture
def topic(kafka_bootstrap):
    return make_topic(kafka_bootstrap, 2)


def deliveries(api: BotApi) -> Counter[str]:
    """Return how often the chat shows each symbol."""
    return Counter(symbol for text in api.texts for symbol in SYMBOL.findall(text))


def quiet(api: BotApi) -> bool:
    """Return whether no request comes for a second."""
    before = len(api.requests)
    end = time.monotonic() + 1.0
    return eventually(lambda: time.monotonic() > end, "a second has passed", 5) and len(api.requests) == before


def once(numbers) -> Counter[str]:
    return Counter(f"SYM{number}USDT" for number in numbers)


def test_alerts_of_a_killed_notifier_arrive_once(api, topic, kafka_bootstrap, tmp_path):
    """Killed during flood control: no message is in flight, so none may be repeated."""
    api.flood(600)
    notifier = Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url, group_wait_s=0.2)])
    with notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(number) for number in range(5)])
        eventually(lambda: api.requests, "a first attempt", 30)
        eventually(lambda: '"outcome": "busy"' in notifier.log.read_text(), "the attempt is refused", 10)
        notifier.end(signal.SIGKILL)
        api.flood(0)
        notifier.start()
        eventually(lambda: deliveries(api) == once(range(5)), "all have arrived", 30)
        eventually(lambda: notifier.sent_alerts() == 5, "all are logged as sent", 30)
        notifier.end(signal.SIGKILL)
        notifier.start()
        notifier.wait_ready()
        assert quiet(api)
        # The topic may hold an alert twice, after a crash of the stream.
        produce_alerts(kafka_bootstrap, topic, [alert(2), alert(7)])
        eventually(lambda: deliveries(api) == once([*range(5), 7]), "the new one has arrived", 30)
        assert quiet(api)
    assert not any("Perhaps" in text for text in api.texts)
    assert TOKEN not in notifier.log.read_text()


def test_over_many_kills_no_alert_is_lost_and_each_kill_repeats_one_message_at_most(
    api, topic, kafka_bootstrap, tmp_path
):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    targets = [telegram(tmp_path, api.url, most_alerts=5), webhook(tmp_path, api.url, most_alerts=5)]
    notifier = Notifier(tmp_path, kafka_bootstrap, topic, targets)
    kills = 8
    with notifier:
        for turn in range(kills):
            before = len(api.requests)
            produce_alerts(kafka_bootstrap, topic, [alert(number) for number in range(turn * 10, turn * 10 + 10)])
            eventually(lambda before=before: len(api.requests) > before, "a request", 30)
            until = time.monotonic() + chance.random() * 0.05
            eventually(lambda until=until: time.monotonic() > until, "some time has passed", 5)
            notifier.end(signal.SIGKILL)
            notifier.start()
        everything = {f"SYM{number}USDT" for number in range(kills * 10)}
        eventually(lambda: set(deliveries(api)) == everything, f"seed {seed}: the chat shows all", 60)
        hooked = lambda: {each["symbol"] for _, body in api.hooks for each in body["alerts"]}  # noqa: E731
        eventually(lambda: hooked() == everything, f"seed {seed}: the webhook has all", 60)
        notifier.wait_ready()
        # After a kill the next process repeats the message in flight.
        eventually(lambda: quiet(api), "nothing more comes", 30)
    plain = Counter(
        symbol for text in api.texts if "Perhaps sent before" not in text for symbol in SYMBOL.findall(text)
    )
    assert max(plain.values()) == 1, f"seed {seed}: repeats are marked"
    assert sum("Perhaps sent before" in text for text in api.texts) <= kills
    keys = [headers["Idempotency-Key"] for headers, _ in api.hooks]
    assert len(keys) - len(set(keys)) <= kills
    assert Counter(
        each["symbol"]
        for body in {headers["Idempotency-Key"]: body for headers, body in api.hooks}.values()
        for each in body["alerts"]
    ) == Counter(everything), f"seed {seed}: a receiver that deduplicates by key has each once"


def test_a_message_in_flight_is_repeated_and_marked(api, topic, kafka_bootstrap, tmp_path):
    """Telegram accepts the message, and the notifier is killed before it reads the response."""
    api.hold_responses.set()
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: api.texts, "the message is accepted", 30)
        notifier.end(signal.SIGKILL)
        api.hold_responses.clear()
        notifier.start()
        eventually(lambda: len(api.texts) == 2, "the message is repeated", 30)
        assert quiet(api)
    assert ["Perhaps sent before" in text for text in api.texts] == [False, True]


def test_without_its_sent_log_it_continues_at_the_committed_offset(api, topic, kafka_bootstrap, tmp_path):
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(number) for number in range(3)])
        eventually(lambda: deliveries(api) == once(range(3)), "all have arrived", 30)
        assert notifier.end(signal.SIGTERM) == 0
        shutil.rmtree(tmp_path / "state")
        notifier.start()
        produce_alerts(kafka_bootstrap, topic, [alert(9)])
        eventually(lambda: deliveries(api) == once([0, 1, 2, 9]), "only the new one arrives", 30)
        assert quiet(api)


def test_an_unsent_alert_is_read_again_when_the_sent_log_is_lost(api, topic, kafka_bootstrap, tmp_path):
    api.chats.clear()
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: api.requests, "a first attempt", 30)
        assert notifier.end(signal.SIGTERM) == 0
        shutil.rmtree(tmp_path / "state")
        api.chats.add("-1001234567890")
        notifier.start()
        eventually(lambda: deliveries(api) == once([1]), "the alert has arrived", 30)


def test_a_target_that_refuses_delays_no_other(api, topic, kafka_bootstrap, tmp_path):
    (tmp_path / "other").mkdir()
    wrong = telegram(tmp_path / "other", api.url, name="wrong")
    (tmp_path / "other" / "token").write_text("1:wrong")
    with Notifier(tmp_path, kafka_bootstrap, topic, [wrong, telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: deliveries(api) == once([1]), "the other target has the alert", 30)
        eventually(lambda: not notifier.ready(), "not ready", 30)
    assert "1:wrong" not in notifier.log.read_text()


def test_a_dry_run_sends_nothing_and_commits_nothing(api, topic, kafka_bootstrap, tmp_path):
    target = telegram(tmp_path, api.url)
    with Notifier(tmp_path, kafka_bootstrap, topic, [target], DRY_RUN="1") as dry:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: "dry run: message not sent" in dry.log.read_text(), "the message is logged", 30)
        assert dry.end(signal.SIGTERM) == 0
    assert not api.requests and not (tmp_path / "state").exists()
    with Notifier(tmp_path, kafka_bootstrap, topic, [target]):
        eventually(lambda: deliveries(api) == once([1]), "the alert has arrived", 30)


def test_an_invalid_record_is_skipped(api, topic, kafka_bootstrap, tmp_path):
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce(kafka_bootstrap, topic, b"nonsense", b"", b'{"alert_id": "x"}')
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: deliveries(api) == once([1]), "the alert has arrived", 30)
        eventually(lambda: notifier.log.read_text().count("skipping invalid alert record") == 3, "each is logged", 30)


def test_it_waits_for_the_topic_and_reads_added_partitions(api, kafka_bootstrap, tmp_path):
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewPartitions, NewTopic

    name = f"later-{tmp_path.name}".replace("_", "-")[:100]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    with Notifier(tmp_path, kafka_bootstrap, name, [telegram(tmp_path, api.url)]) as notifier:
        eventually(lambda: '"health_port"' in notifier.log.read_text(), "the process runs", 30)
        assert not notifier.ready()
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
        notifier.wait_ready()
        admin.create_partitions([NewPartitions(name, 3)])[name].result(30)
        alerts = [alert(number) for number in range(12)]
        produce_alerts(kafka_bootstrap, name, alerts)
        eventually(lambda: deliveries(api) == once(range(12)), "all partitions are read", 30)


def test_a_second_process_on_one_state_folder_is_refused(api, topic, kafka_bootstrap, tmp_path):
    targets = [telegram(tmp_path, api.url)]
    with Notifier(tmp_path, kafka_bootstrap, topic, targets) as first:
        first.wait_ready()
        with Notifier(tmp_path, kafka_bootstrap, topic, targets) as second:
            eventually(lambda: second.has_ended, "the second ends", 30)
    line = json.loads([each for each in second.log.read_text().splitlines() if '"ERROR"' in each][-1])
    assert "another notifier uses" in line["message"]
