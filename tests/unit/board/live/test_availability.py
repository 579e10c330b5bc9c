import asyncio

from tapeline_board.live.availability import Availability


class Clock:
    now = 100

    def __call__(self) -> int:
        return self.now


async def test_it_begins_as_away_and_says_since_when_and_why():
    clock = Clock()
    availability = Availability(clock)
    assert availability.status().model_dump() == {
        **{"at": 100, "elasticsearch": "away", "reason": "nobody has looked yet", "since_at": 100},
    }
    clock.now = 200
    availability.hold()
    clock.now = 300
    availability.hold()
    assert availability.status().model_dump() == {
        **{"at": 300, "elasticsearch": "ok", "reason": None, "since_at": 200},
    }


async def test_another_reason_is_the_same_outage():
    clock = Clock()
    availability = Availability(clock)
    availability.hold()
    clock.now = 200
    availability.fail("refused")
    clock.now = 300
    availability.fail("starting")
    assert (availability.status().since_at, availability.status().reason) == (200, "starting")


async def test_who_waits_is_woken_by_every_change_and_by_nothing_else():
    availability = Availability(Clock())
    waiting = asyncio.create_task(availability.wait_changed())
    await asyncio.sleep(0)
    availability.fail("nobody has looked yet")
    await asyncio.sleep(0)
    assert not waiting.done()
    availability.fail("refused")
    await asyncio.wait_for(waiting, 1)
    waiting = asyncio.create_task(availability.wait_up())
    await asyncio.sleep(0)
    availability.hold()
    await asyncio.wait_for(waiting, 1)
    assert availability.is_up
