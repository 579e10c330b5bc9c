import asyncio

from tapeline_board.live.availability import Availability


class Clock:
    now = 100

    def __call__(self) -> int:
        return self.now


async def test_it_begins_as_unavailable_and_reports_since_when_and_why():
    clock = Clock()
    availability = Availability(clock)
    assert availability.status().model_dump() == {
        **{"at": 100, "elasticsearch": "unavailable", "reason": "not checked yet", "since_at": 100},
    }
    clock.now = 200
    availability.mark_available()
    clock.now = 300
    availability.mark_available()
    assert availability.status().model_dump() == {
        **{"at": 300, "elasticsearch": "available", "reason": None, "since_at": 200},
    }


async def test_another_reason_is_the_same_outage():
    clock = Clock()
    availability = Availability(clock)
    availability.mark_available()
    clock.now = 200
    availability.mark_unavailable("refused")
    clock.now = 300
    availability.mark_unavailable("starting")
    assert (availability.status().since_at, availability.status().reason) == (200, "starting")


async def test_waiters_wake_on_every_change_and_on_nothing_else():
    availability = Availability(Clock())
    waiting = asyncio.create_task(availability.wait_changed())
    await asyncio.sleep(0)
    availability.mark_unavailable("not checked yet")
    await asyncio.sleep(0)
    assert not waiting.done()
    availability.mark_unavailable("refused")
    await asyncio.wait_for(waiting, 1)
    waiting = asyncio.create_task(availability.wait_available())
    await asyncio.sleep(0)
    availability.mark_available()
    await asyncio.wait_for(waiting, 1)
    assert availability.is_available
