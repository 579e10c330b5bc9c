from hypothesis import given
from hypothesis import strategies as st
from tapeline_notifier.progress import Progress


def test_nothing_is_done_while_the_first_record_waits():
    progress = Progress()
    progress.read(0, 5, "a", 1)
    progress.read(0, 6, "b", 1)
    progress.settle("b")
    assert (progress.done(), len(progress)) == ({}, 1)
    progress.settle("a")
    assert (progress.done(), len(progress)) == ({0: 7}, 0)
    assert progress.done() == {}


def test_a_record_waits_for_every_target():
    progress = Progress()
    progress.read(0, 0, "a", 2)
    progress.settle("a")
    assert progress.done() == {}
    progress.settle("a")
    assert progress.done() == {0: 1}


def test_a_repeated_alert_is_settled_wherever_it_stands():
    progress = Progress()
    progress.read(0, 0, "a", 1)
    progress.read(1, 9, "a", 1)
    progress.settle("a")
    assert progress.done() == {0: 1, 1: 10}


def test_a_record_that_is_nobodys_is_done_at_once():
    progress = Progress()
    progress.read(0, 0, "", 0)
    progress.settle("never heard of")
    assert progress.done() == {0: 1}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 2)), max_size=40), st.randoms())
def test_the_place_never_passes_a_record_that_still_waits(records, random):
    """The oracle looks at every record by itself."""
    progress, offsets, left = Progress(), dict.fromkeys(range(3), 0), dict[str, int]()
    read: list[tuple[int, int, str]] = []
    place = dict.fromkeys(range(3), 0)
    for partition, number, targets in records:
        name = str(number)
        # As the service asks: how many targets are not done with it yet.
        waits = left.setdefault(name, targets)
        progress.read(partition, offsets[partition], name, waits)
        read.append((partition, offsets[partition], name))
        offsets[partition] += 1
        if random.random() < 0.5:
            settled = random.choice(sorted(left))
            if left[settled]:
                left[settled] -= 1
                progress.settle(settled)
        place |= progress.done()
        for where in range(3):
            waiting = [offset for p, offset, who in read if p == where and left[who]]
            assert place[where] == min(waiting, default=offsets[where])
