from hypothesis import given
from hypothesis import strategies as st
from tapeline_notifier.message import subject
from tapeline_notifier.outbox import Outbox

from unit.notifier.factories import NOW_MS, alert

WAIT_S, COOL_S, MOST = 2.0, 300.0, 3


def box(**sent_at_ms: int) -> Outbox:
    return Outbox(WAIT_S, COOL_S, MOST, sent_at_ms)


def send(outbox: Outbox, now_ms: int) -> list[str]:
    """Send the due alerts and return their ids."""
    due = outbox.due(now_ms)
    outbox.remove(due)
    outbox.start_cool_down(due, now_ms)
    return [each.alert_id for each in due]


def test_the_first_alert_waits_for_others_and_shares_one_message():
    outbox = box()
    outbox.add(alert(1), NOW_MS)
    outbox.add(alert(2), NOW_MS + 1900)
    assert outbox.due(NOW_MS + 1999) == []
    assert outbox.next_due_at_ms() == NOW_MS + 2000
    assert send(outbox, NOW_MS + 2000) == [alert(1).alert_id, alert(2).alert_id]
    assert (len(outbox), outbox.next_due_at_ms()) == (0, None)


def test_alerts_above_the_limit_go_in_the_next_message():
    outbox = box()
    for number in range(5):
        outbox.add(alert(number), NOW_MS)
    assert len(send(outbox, NOW_MS + 2000)) == MOST
    assert len(send(outbox, NOW_MS + 2000)) == 2


def test_alerts_of_a_subject_in_cool_down_go_together_at_its_end():
    outbox = box()
    outbox.add(alert(1), NOW_MS)
    send(outbox, NOW_MS + 2000)
    in_cool_down = [alert(1, alert_id=f"again {number}") for number in range(2)]
    for number, each in enumerate(in_cool_down):
        outbox.add(each, NOW_MS + 10_000 * (number + 1))
    assert outbox.due(NOW_MS + 301_999) == []
    assert outbox.next_due_at_ms() == NOW_MS + 302_000
    assert send(outbox, NOW_MS + 302_000) == ["again 0", "again 1"]


def test_a_cool_down_does_not_delay_another_symbol():
    outbox = box()
    outbox.add(alert(1), NOW_MS)
    send(outbox, NOW_MS + 2000)
    outbox.add(alert(1, alert_id="again"), NOW_MS + 3000)
    outbox.add(alert(2), NOW_MS + 3000)
    assert send(outbox, NOW_MS + 5000) == [alert(2).alert_id]


def test_a_cool_down_continues_after_a_restart():
    outbox = Outbox(WAIT_S, COOL_S, MOST, {subject(alert(1)): NOW_MS})
    outbox.add(alert(1), NOW_MS + 1000)
    assert outbox.due(NOW_MS + 60_000) == []
    assert send(outbox, NOW_MS + 300_000) == [alert(1).alert_id]


def test_an_alert_that_is_queued_already_keeps_its_position():
    outbox = box()
    outbox.add(alert(1), NOW_MS)
    outbox.add(alert(1), NOW_MS + 1500)
    assert len(outbox) == 1 and alert(1).alert_id in outbox
    assert send(outbox, NOW_MS + 2000) == [alert(1).alert_id]


def test_expired_returns_alerts_above_the_maximum_age():
    outbox = box()
    outbox.add(alert(1, raised_at=NOW_MS - 5000), NOW_MS)
    outbox.add(alert(2, raised_at=NOW_MS), NOW_MS)
    assert [each.alert_id for each in outbox.expired(NOW_MS, 4.0)] == [alert(1).alert_id]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 120_000)), min_size=1, max_size=30),
    st.integers(1, 5),
)
def test_every_alert_is_sent_once_and_no_subject_twice_within_its_cool_down(arrivals, most):
    outbox = Outbox(WAIT_S, 60.0, most, {})
    coming = sorted((at, f"id {n}", who) for n, (who, at) in enumerate(arrivals))
    gone: list[str] = []
    last_sent: dict[int, int] = {}
    now = 0
    while coming or len(outbox):
        times = [coming[0][0]] if coming else []
        at = outbox.next_due_at_ms()
        now = max(now, min([*times, *([at] if at is not None else [])]))
        while coming and coming[0][0] <= now:
            _, alert_id, who = coming.pop(0)
            outbox.add(alert(who, alert_id=alert_id), now)
        due = outbox.due(now)
        for who in {each.symbol for each in due}:
            assert now - last_sent.get(who, -60_000) >= 60_000
            last_sent[who] = now
        outbox.remove(due)
        outbox.start_cool_down(due, now)
        assert len(due) <= most
        gone += [each.alert_id for each in due]
    assert sorted(gone) == sorted(f"id {n}" for n in range(len(arrivals)))
