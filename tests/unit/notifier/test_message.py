import json

from hypothesis import given
from hypothesis import strategies as st
from tapeline_notifier.message import TELEGRAM_UNITS, Message, body, subject, text

from unit.notifier.made import alert


def units(said: str) -> int:
    return len(said.encode("utf-16-le")) // 2


def test_a_person_reads_when_what_about_and_why():
    assert text(Message.of("phone", [alert(1)])) == (
        "[!] 2026-09-21 14:13 UTC  spot SYM1USDT  move: SYM1USDT rose by 2.1 % within 5 minutes"
    )


def test_several_alerts_are_a_line_each_in_their_order():
    said = text(Message.of("phone", [alert(2), alert(1)])).splitlines()
    assert ["SYM2USDT" in said[0], "SYM1USDT" in said[1], len(said)] == [True, True, 2]


def test_a_line_break_in_an_alert_starts_no_line():
    assert len(text(Message.of("phone", [alert(1, message="one\ntwo")])).splitlines()) == 1


def test_about_a_model_there_is_no_symbol():
    about = alert(1, market_type=None, symbol=None, model_digest="ab" * 32, kind="model_expired", rule="expiry")
    assert "model  expiry:" in text(Message.of("phone", [about]))
    assert subject(about) == f"expiry||{'ab' * 32}"


@given(st.lists(st.text(min_size=1, max_size=1000), min_size=1, max_size=40), st.booleans())
def test_a_message_is_never_longer_than_telegram_takes_and_counts_what_it_leaves_out(said, is_repeat):
    alerts = [alert(number, message=each) for number, each in enumerate(said)]
    whole = text(Message.of("phone", alerts), is_repeat=is_repeat)
    assert 0 < units(whole) <= TELEGRAM_UNITS
    told = sum(f"SYM{number}USDT  move:" in whole for number in range(len(said)))
    left = len(said) - told
    assert not left or f"... and {left} more" in whole


def test_signs_beyond_the_first_plane_count_as_telegram_counts_them():
    """Three thousand signs, six thousand units: what Python calls short enough is refused as too long."""
    whole = text(Message.of("phone", [alert(number, message="\U0001f4c8" * 1000) for number in range(3)]))
    assert units(whole) <= TELEGRAM_UNITS
    assert "... and 2 more" in whole


def test_a_repetition_says_so_to_people():
    message = Message.of("phone", [alert(1)])
    assert "Perhaps sent before" in text(message, is_repeat=True)
    assert "Perhaps sent before" not in text(message)


def test_the_same_alerts_to_the_same_target_are_the_same_message():
    one = Message.of("phone", [alert(1), alert(2)])
    assert Message.of("phone", [alert(1), alert(2)]).message_id == one.message_id
    assert Message.of("hook", [alert(1), alert(2)]).message_id != one.message_id
    assert Message.of("phone", [alert(1)]).message_id != one.message_id


def test_a_program_reads_every_field_of_every_alert():
    message = Message.of("hook", [alert(1), alert(2)])
    read = json.loads(body(message))
    assert read["alerts"] == [each.model_dump(mode="json") for each in message.alerts]
    assert read["message_id"] == message.message_id
    assert "SYM1USDT" in read["text"]
