from collections import Counter

import pytest
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_producer.sharding.shards import ShardMap, shard_of


def numbers_with_symbols(shards: ShardMap) -> set[int]:
    instruments = [spot(f"COIN{n}USDT") for n in range(500)]
    return {shard_of(one, shards.count) for one in instruments if shards.includes(one)}


def spot(symbol: str) -> Instrument:
    return Instrument("bybit", MarketType.SPOT, symbol)


@pytest.mark.parametrize(
    ("instrument", "shard"),
    [
        ("bybit:spot:BTCUSDT", 20), ("bybit:linear:BTCUSDT", 37),
        ("bybit:inverse:BTCUSD", 11), ("bybit:spot:ETHUSDT", 11),
    ],
)  # fmt: skip
def test_shard_of_an_instrument_never_changes(instrument: str, shard: int) -> None:
    """Computed by gzip: replicas of two versions must agree during a roll-out."""
    assert shard_of(Instrument.parse(instrument), 64) == shard


def test_shards_are_about_equally_large() -> None:
    sizes = Counter(shard_of(spot(f"COIN{n}USDT"), 8) for n in range(4000))
    assert len(sizes) == 8 and min(sizes.values()) > 400


def test_revoked_shard_drains_until_another_replica_claims_it() -> None:
    shards = ShardMap(4, handover_s=10)
    shards.mark_assigned([0, 1, 2, 3], now=0)
    shards.mark_revoked([1, 2], now=100)
    assert numbers_with_symbols(shards) == {0, 1, 2, 3}
    assert (shards.owned, shards.draining) == ({0, 3}, {1, 2})
    shards.mark_claimed([1])
    assert numbers_with_symbols(shards) == {0, 2, 3}


def test_unclaimed_shard_is_released_when_the_handover_times_out() -> None:
    shards = ShardMap(4, handover_s=10)
    shards.mark_assigned([1], now=0)
    shards.mark_revoked([1], now=100)
    assert shards.release_expired(now=109.9) == set()
    assert shards.release_expired(now=110) == {1}
    assert numbers_with_symbols(shards) == set()


def test_gaps_of_a_draining_shard_are_reported_by_its_new_owner() -> None:
    shards = ShardMap(1, handover_s=10)
    shards.mark_assigned([0], now=0)
    assert shards.owns(spot("BTCUSDT"))
    shards.mark_revoked([0], now=0)
    assert shards.includes(spot("BTCUSDT")) and not shards.owns(spot("BTCUSDT"))


def test_lost_shards_stay_owned_until_the_group_reassigns_them() -> None:
    shards = ShardMap(4, handover_s=10)
    shards.mark_assigned([0, 1, 2], now=0)
    shards.mark_lost([0, 1, 2])
    assert (shards.owned, shards.assigned) == ({0, 1, 2}, set())
    shards.mark_assigned([2, 3], now=50)
    assert (shards.owned, shards.draining) == ({2, 3}, {0, 1})
    assert shards.release_expired(now=60) == {0, 1}


def test_shard_that_is_assigned_again_is_not_released() -> None:
    shards = ShardMap(4, handover_s=10)
    shards.mark_assigned([1], now=0)
    shards.mark_revoked([1], now=5)
    shards.mark_assigned([1], now=6)
    assert shards.release_expired(now=100) == set()
    assert (shards.owned, shards.draining) == ({1}, set())
