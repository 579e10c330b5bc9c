"""Reconnects of a connection: delays and what is reported."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tapeline.enums import MarketType
from tapeline_producer.connection.connection import Disconnect, StreamConnection
from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import EXCHANGE, Readiness
from tapeline_producer.settings import Settings

FAILED, BLOCKED = Disconnect("gone", False, False), Disconnect("HTTP 403", True, False)
HEALTHY = Disconnect("gone", False, True)


def connection(readiness: Readiness, metrics: Metrics) -> StreamConnection:
    pipeline: Any = SimpleNamespace()
    return StreamConnection("spot-1", MarketType.SPOT, Settings(), pipeline, readiness, metrics, lambda: 0)


async def delays_after(monkeypatch: pytest.MonkeyPatch, *ends: Disconnect) -> tuple[list[float], str]:
    """Return the delay after each of these ends, with the greatest jitter, and the exchange's readiness."""
    readiness, metrics, left, slept = Readiness(Metrics()), Metrics(), list(ends), []
    one = connection(readiness, metrics)

    async def connect_once() -> Disconnect:
        return left.pop(0)

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)
        if not left:
            raise asyncio.CancelledError

    monkeypatch.setattr(one, "_connect_once", connect_once)
    monkeypatch.setattr("tapeline_producer.connection.connection.asyncio.sleep", sleep)
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    with pytest.raises(asyncio.CancelledError):
        await one.run()
    assert f'tapeline_reconnects_total{{market_type="spot"}} {len(ends)}.0'.encode() in metrics.render()[0]
    return slept, str(readiness.ready()[1]["waiting_for"][EXCHANGE])


async def test_delays_grow_until_a_connection_was_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    slept, reason = await delays_after(monkeypatch, FAILED, FAILED, FAILED, HEALTHY, FAILED)
    assert slept == [1.5, 3.0, 6.0, 1.5, 3.0]
    assert reason.endswith("/v5/public/spot is not connected: gone")


async def test_blocked_address_waits_for_the_longest_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    slept, _ = await delays_after(monkeypatch, BLOCKED, FAILED)
    assert slept == [30.0, 3.0]


async def test_programming_error_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    one = connection(Readiness(Metrics()), Metrics())

    async def fail() -> Disconnect:
        raise KeyError("BTCUSDT")

    monkeypatch.setattr(one, "_connect_once", fail)
    with pytest.raises(KeyError):
        await one.run()


async def test_cancelled_connection_is_a_cancelled_task(monkeypatch: pytest.MonkeyPatch) -> None:
    one, started = connection(Readiness(Metrics()), Metrics()), asyncio.Event()

    async def stay_open() -> Disconnect:
        started.set()
        await asyncio.Event().wait()
        return FAILED

    monkeypatch.setattr(one, "_connect_once", stay_open)
    task = asyncio.create_task(one.run())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
