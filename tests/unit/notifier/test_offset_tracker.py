from hypothesis import given
from hypothesis import strategies as st
from tapeline_notifier.offset_tracker import OffsetTracker, Partition

FIRST, SECOND = Partition("alerts", 0), Partition("alerts", 1)


def test_no_offset_is_committable_while_the_first_record_is_open():
    tracker = OffsetTracker()
    tracker.add(FIRST, 5, "a", 1)
    tracker.add(FIRST, 6, "b", 1)
    tracker.finalise("b")
    assert (tracker.committable(), len(tracker)) == ({}, 1)
    tracker.finalise("a")
    assert (tracker.committable(), len(tracker)) == ({FIRST: 7}, 0)
    assert tracker.committable() == {}


def test_a_record_waits_for_every_target():
    tracker = OffsetTracker()
    tracker.add(FIRST, 0, "a", 2)
    tracker.finalise("a")
    assert tracker.committable() == {}
    tracker.finalise("a")
    assert tracker.committable() == {FIRST: 1}


def test_a_repeated_alert_is_finalised_at_each_position():
    tracker = OffsetTracker()
    tracker.add(FIRST, 0, "a", 1)
    tracker.add(SECOND, 9, "a", 1)
    tracker.finalise("a")
    assert tracker.committable() == {FIRST: 1, SECOND: 10}


def test_a_record_without_targets_is_committable_at_once():
    tracker = OffsetTracker()
    tracker.add(FIRST, 0, "", 0)
    tracker.finalise("unknown")
    assert tracker.committable() == {FIRST: 1}


def test_partitions_of_the_same_number_in_two_topics_have_offsets_of_their_own():
    tracker, other = OffsetTracker(), Partition("other", 0)
    tracker.add(FIRST, 0, "a", 1)
    tracker.add(other, 7, "b", 0)
    assert tracker.committable() == {other: 8}
    tracker.finalise("a")
    assert tracker.committable() == {FIRST: 1}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 2)), max_size=40), st.randoms())
def test_the_committable_offset_never_passes_an_open_record(records, random):
    """The oracle checks every record by itself."""
    tracker, offsets, left = OffsetTracker(), dict.fromkeys(range(3), 0), dict[str, int]()
    read: list[tuple[int, int, str]] = []
    place = dict.fromkeys(range(3), 0)
    for partition, number, targets in records:
        name = str(number)
        # As in the service: the number of targets that have not finalised it yet.
        waits = left.setdefault(name, targets)
        tracker.add(Partition("alerts", partition), offsets[partition], name, waits)
        read.append((partition, offsets[partition], name))
        offsets[partition] += 1
        if random.random() < 0.5:
            finalised = random.choice(sorted(left))
            if left[finalised]:
                left[finalised] -= 1
                tracker.finalise(finalised)
        place |= {partition.number: offset for partition, offset in tracker.committable().items()}
        for where in range(3):
            waiting = [offset for p, offset, who in read if p == where and left[who]]
            assert place[where] == min(waiting, default=offsets[where])
