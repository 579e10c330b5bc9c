"""The notifier as a process, on a real Kafka, before a server that behaves like Telegram; killed in between."""

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
from unit.notifier.made import alert, telegram, webhook

from stack.notifying import Notifier, make_topic, produce, produce_alerts

SYMBOL = re.compile(r"SYM\d+USDT(?=  move:)")


@pytest.fixture
def api():
    with BotApi().serving() as running:
        yield running


@pytest.fixture
def topic(kafka_bootstrap):
    return make_topic(kafka_bootstrap, 2)


def told(api: BotApi) -> Counter[str]:
    """Return how often people were told of each symbol."""
    return Counter(symbol for text in api.texts for symbol in SYMBOL.findall(text))


def quiet(api: BotApi) -> bool:
    """Return whether nothing has come for a second."""
    before = len(api.requests)
    end = time.monotonic() + 1.0
    return eventually(lambda: time.monotonic() > end, "a second has passed", 5) and len(api.requests) == before


def once(numbers) -> Counter[str]:
    return Counter(f"SYM{number}USDT" for number in numbers)


def test_alerts_of_a_killed_notifier_arrive_once(api, topic, kafka_bootstrap, tmp_path):
    """Killed while Telegram tells it to wait: nothing is under way, so nothing may come twice."""
    api.flood(600)
    notifier = Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url, group_wait_s=0.2)])
    with notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(number) for number in range(5)])
        eventually(lambda: api.requests, "it has tried", 30)
        eventually(lambda: '"outcome": "busy"' in notifier.log.read_text(), "and heard no", 10)
        notifier.end(signal.SIGKILL)
        api.flood(0)
        notifier.start()
        eventually(lambda: told(api) == once(range(5)), "all have arrived", 30)
        eventually(lambda: notifier.noted() == 5, "and are noted as sent", 30)
        notifier.end(signal.SIGKILL)
        notifier.start()
        notifier.wait_ready()
        assert quiet(api)
        # The log may hold an alert twice, after a crash of the stream.
        produce_alerts(kafka_bootstrap, topic, [alert(2), alert(7)])
        eventually(lambda: told(api) == once([*range(5), 7]), "the new one has arrived", 30)
        assert quiet(api)
    assert not any("Perhaps" in text for text in api.texts)
    assert TOKEN not in notifier.log.read_text()


def test_over_many_kills_nothing_is_lost_and_each_kill_doubles_one_message_at_most(
    api, topic, kafka_bootstrap, tmp_path
):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    targets = [telegram(tmp_path, api.url, most_alerts=5), webhook(tmp_path, api.url, most_alerts=5)]
    notifier = Notifier(tmp_path, kafka_bootstrap, topic, targets)
    kills = 8
    with notifier:
        for turn in range(kills):
            asked = len(api.requests)
            produce_alerts(kafka_bootstrap, topic, [alert(number) for number in range(turn * 10, turn * 10 + 10)])
            eventually(lambda asked=asked: len(api.requests) > asked, "it is at work", 30)
            until = time.monotonic() + chance.random() * 0.05
            eventually(lambda until=until: time.monotonic() > until, "some time has passed", 5)
            notifier.end(signal.SIGKILL)
            notifier.start()
        everything = {f"SYM{number}USDT" for number in range(kills * 10)}
        eventually(lambda: set(told(api)) == everything, f"seed {seed}: people know all", 60)
        hooked = lambda: {each["symbol"] for _, body in api.hooks for each in body["alerts"]}  # noqa: E731
        eventually(lambda: hooked() == everything, f"seed {seed}: programs know all", 60)
        notifier.wait_ready()
        # What a kill left doubtful is said again by the life after it.
        eventually(lambda: quiet(api), "nothing more comes", 30)
    plain = Counter(
        symbol for text in api.texts if "Perhaps sent before" not in text for symbol in SYMBOL.findall(text)
    )
    assert max(plain.values()) == 1, f"seed {seed}: what comes twice says so"
    assert sum("Perhaps sent before" in text for text in api.texts) <= kills
    keys = [headers["Idempotency-Key"] for headers, _ in api.hooks]
    assert len(keys) - len(set(keys)) <= kills
    assert Counter(
        each["symbol"]
        for body in {headers["Idempotency-Key"]: body for headers, body in api.hooks}.values()
        for each in body["alerts"]
    ) == Counter(everything), f"seed {seed}: a receiver that looks at the key has each once"


def test_a_message_that_was_under_way_comes_again_and_says_so(api, topic, kafka_bootstrap, tmp_path):
    """This is the one that cannot be known: taken by Telegram, and killed before the answer was read."""
    api.hold.set()
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: api.texts, "it was taken", 30)
        notifier.end(signal.SIGKILL)
        api.hold.clear()
        notifier.start()
        eventually(lambda: len(api.texts) == 2, "it comes again", 30)
        assert quiet(api)
    assert ["Perhaps sent before" in text for text in api.texts] == [False, True]


def test_without_its_sent_log_it_goes_on_where_kafka_says(api, topic, kafka_bootstrap, tmp_path):
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(number) for number in range(3)])
        eventually(lambda: told(api) == once(range(3)), "all have arrived", 30)
        assert notifier.end(signal.SIGTERM) == 0
        shutil.rmtree(tmp_path / "state")
        notifier.start()
        produce_alerts(kafka_bootstrap, topic, [alert(9)])
        eventually(lambda: told(api) == once([0, 1, 2, 9]), "only the new one arrives", 30)
        assert quiet(api)


def test_what_was_not_sent_yet_is_still_in_kafka_when_the_sent_log_is_lost(api, topic, kafka_bootstrap, tmp_path):
    api.chats.clear()
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: api.requests, "it has tried", 30)
        assert notifier.end(signal.SIGTERM) == 0
        shutil.rmtree(tmp_path / "state")
        api.chats.add("-1001234567890")
        notifier.start()
        eventually(lambda: told(api) == once([1]), "it has arrived", 30)


def test_a_target_that_refuses_holds_up_no_other(api, topic, kafka_bootstrap, tmp_path):
    (tmp_path / "other").mkdir()
    wrong = telegram(tmp_path / "other", api.url, name="wrong")
    (tmp_path / "other" / "token").write_text("1:wrong")
    with Notifier(tmp_path, kafka_bootstrap, topic, [wrong, telegram(tmp_path, api.url)]) as notifier:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: told(api) == once([1]), "the other has it", 30)
        eventually(lambda: not notifier.ready(), "and readiness says that something is wrong", 30)
    assert "1:wrong" not in notifier.log.read_text()


def test_a_dry_run_tells_nobody_and_leaves_everything_for_the_real_one(api, topic, kafka_bootstrap, tmp_path):
    target = telegram(tmp_path, api.url)
    with Notifier(tmp_path, kafka_bootstrap, topic, [target], DRY_RUN="1") as dry:
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: "dry run: would send" in dry.log.read_text(), "it says what it would send", 30)
        assert dry.end(signal.SIGTERM) == 0
    assert not api.requests and not (tmp_path / "state").exists()
    with Notifier(tmp_path, kafka_bootstrap, topic, [target]):
        eventually(lambda: told(api) == once([1]), "it has arrived", 30)


def test_what_is_no_alert_is_passed_over(api, topic, kafka_bootstrap, tmp_path):
    with Notifier(tmp_path, kafka_bootstrap, topic, [telegram(tmp_path, api.url)]) as notifier:
        produce(kafka_bootstrap, topic, b"nonsense", b"", b'{"alert_id": "x"}')
        produce_alerts(kafka_bootstrap, topic, [alert(1)])
        eventually(lambda: told(api) == once([1]), "the alert has arrived", 30)
        eventually(lambda: notifier.log.read_text().count("a record was no alert") == 3, "each is told of", 30)


def test_it_waits_for_a_topic_that_comes_later_and_sees_partitions_that_are_added(api, kafka_bootstrap, tmp_path):
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewPartitions, NewTopic

    name = f"later-{tmp_path.name}".replace("_", "-")[:100]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    with Notifier(tmp_path, kafka_bootstrap, name, [telegram(tmp_path, api.url)]) as notifier:
        eventually(lambda: '"health_port"' in notifier.log.read_text(), "it lives", 30)
        assert not notifier.ready()
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
        notifier.wait_ready()
        admin.create_partitions([NewPartitions(name, 3)])[name].result(30)
        alerts = [alert(number) for number in range(12)]
        produce_alerts(kafka_bootstrap, name, alerts)
        eventually(lambda: told(api) == once(range(12)), "all partitions are read", 30)


def test_two_on_one_memory_are_refused(api, topic, kafka_bootstrap, tmp_path):
    targets = [telegram(tmp_path, api.url)]
    with Notifier(tmp_path, kafka_bootstrap, topic, targets) as first:
        first.wait_ready()
        with Notifier(tmp_path, kafka_bootstrap, topic, targets) as second:
            eventually(lambda: second.has_ended, "the second ends", 30)
    line = json.loads([each for each in second.log.read_text().splitlines() if '"ERROR"' in each][-1])
    assert "another notifier uses" in line["message"]
