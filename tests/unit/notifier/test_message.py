import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapeline_notifier.message import TELEGRAM_UNITS, Message, body, parse_alert, subject, text

from unit.notifier.factories import alert


def units(content: str) -> int:
    return len(content.encode("utf-16-le")) // 2


def test_a_text_shows_time_instrument_rule_and_reason():
    assert text(Message.from_alerts("phone", [alert(1)])) == (
        "[!] 2026-09-21 14:13 UTC  bybit:spot:SYM1USDT  move: SYM1USDT rose by 2.1 % within 5 minutes"
    )


def test_each_alert_is_a_line_in_order():
    lines = text(Message.from_alerts("phone", [alert(2), alert(1)])).splitlines()
    assert ["SYM2USDT" in lines[0], "SYM1USDT" in lines[1], len(lines)] == [True, True, 2]


def test_a_line_break_in_an_alert_starts_no_line():
    assert len(text(Message.from_alerts("phone", [alert(1, message="one\ntwo")])).splitlines()) == 1


def test_an_alert_about_a_model_has_no_symbol():
    about = alert(1, market_type=None, symbol=None, model_digest="ab" * 32, kind="model_expired", rule="expiry")
    assert "model  expiry:" in text(Message.from_alerts("phone", [about]))
    assert subject(about) == f"expiry|{'ab' * 32}"


def test_the_same_symbol_at_two_venues_or_market_types_has_a_line_and_a_cool_down_of_its_own():
    alerts = [alert(1), alert(1, venue="other"), alert(1, market_type="linear")]
    assert [subject(each) for each in alerts] == [
        *("move|bybit:spot:SYM1USDT", "move|other:spot:SYM1USDT", "move|bybit:linear:SYM1USDT"),
    ]
    lines = text(Message.from_alerts("phone", alerts)).splitlines()
    named = ("bybit:spot:SYM1USDT", "other:spot:SYM1USDT", "bybit:linear:SYM1USDT")
    assert [f"  {name}  move:" in line for name, line in zip(named, lines, strict=True)] == [True] * 3


def test_an_alert_is_parsed_without_the_fields_that_this_release_does_not_know():
    content = alert(1).model_dump(mode="json")
    assert parse_alert(json.dumps(content | {"region": "eu"}).encode()) == alert(1, raised_at=content["raised_at"])


@pytest.mark.parametrize("changed", [{"venue": "No Venue"}, {"symbol": "?"}, {"market_type": "moon"}, {"alert_id": ""}])
def test_a_record_that_names_no_instrument_is_no_alert(changed):
    content = alert(1).model_dump(mode="json") | changed
    with pytest.raises(ValueError, match=next(iter(changed))):
        parse_alert(json.dumps(content).encode())


@given(st.lists(st.text(min_size=1, max_size=1000), min_size=1, max_size=40), st.booleans())
def test_a_text_never_exceeds_telegrams_limit_and_counts_omitted_alerts(contents, is_repeat):
    alerts = [alert(number, message=each) for number, each in enumerate(contents)]
    whole = text(Message.from_alerts("phone", alerts), is_repeat=is_repeat)
    assert 0 < units(whole) <= TELEGRAM_UNITS
    shown = sum(f"SYM{number}USDT  move:" in whole for number in range(len(contents)))
    left = len(contents) - shown
    assert not left or f"... and {left} more" in whole


def test_astral_characters_count_as_two_utf16_units():
    """Three thousand characters are six thousand units: len() is below the limit, Telegram refuses the text."""
    whole = text(Message.from_alerts("phone", [alert(number, message="\U0001f4c8" * 1000) for number in range(3)]))
    assert units(whole) <= TELEGRAM_UNITS
    assert "... and 2 more" in whole


def test_the_text_of_a_repeat_is_marked():
    message = Message.from_alerts("phone", [alert(1)])
    assert "Perhaps sent before" in text(message, is_repeat=True)
    assert "Perhaps sent before" not in text(message)


def test_the_same_alerts_to_the_same_target_are_the_same_message():
    one = Message.from_alerts("phone", [alert(1), alert(2)])
    assert Message.from_alerts("phone", [alert(1), alert(2)]).message_id == one.message_id
    assert Message.from_alerts("hook", [alert(1), alert(2)]).message_id != one.message_id
    assert Message.from_alerts("phone", [alert(1)]).message_id != one.message_id


def test_the_json_body_has_every_field_of_every_alert():
    message = Message.from_alerts("hook", [alert(1), alert(2)])
    content = json.loads(body(message))
    assert content["alerts"] == [each.model_dump(mode="json") for each in message.alerts]
    assert content["message_id"] == message.message_id
    assert "SYM1USDT" in content["text"]
