from collections import Counter

import pytest
from tapeline_producer.sharding.shards import Shares, share_of


def numbers_with_symbols(shares: Shares) -> set[int]:
    names = [f"COIN{n}USDT" for n in range(500)]
    return {share_of("spot", name, shares.count) for name in names if shares.follows("spot", name)}


@pytest.mark.parametrize(
    ("market_type", "symbol", "share"), [("spot", "BTCUSDT", 30), ("linear", "BTCUSDT", 38), ("spot", "ETHUSDT", 1)]
)
def test_share_of_a_symbol_never_changes(market_type: str, symbol: str, share: int) -> None:
    """Computed by gzip: replicas of two versions must agree during a roll-out."""
    assert share_of(market_type, symbol, 64) == share


def test_shares_are_about_equally_large() -> None:
    sizes = Counter(share_of("spot", f"COIN{n}USDT", 8) for n in range(4000))
    assert len(sizes) == 8 and min(sizes.values()) > 400


def test_share_given_up_is_followed_until_another_replica_has_taken_it_up() -> None:
    shares = Shares(4, handover_s=10)
    shares.assigned([0, 1, 2, 3], now=0)
    shares.revoked([1, 2], now=100)
    assert numbers_with_symbols(shares) == {0, 1, 2, 3}
    assert (shares.own, shares.leaving) == ({0, 3}, {1, 2})
    shares.taken([1])
    assert numbers_with_symbols(shares) == {0, 2, 3}


def test_share_that_nobody_takes_up_is_let_go_when_the_time_is_over() -> None:
    shares = Shares(4, handover_s=10)
    shares.assigned([1], now=0)
    shares.revoked([1], now=100)
    assert shares.overdue(now=109.9) == set()
    assert shares.overdue(now=110) == {1}
    assert numbers_with_symbols(shares) == set()


def test_holes_of_a_share_given_up_are_anothers_to_report() -> None:
    shares = Shares(1, handover_s=10)
    shares.assigned([0], now=0)
    assert shares.reports("spot", "BTCUSDT")
    shares.revoked([0], now=0)
    assert shares.follows("spot", "BTCUSDT") and not shares.reports("spot", "BTCUSDT")


def test_lost_shares_stay_ours_until_the_group_says_whose_they_are() -> None:
    shares = Shares(4, handover_s=10)
    shares.assigned([0, 1, 2], now=0)
    shares.lost([0, 1, 2])
    assert (shares.own, shares.given) == ({0, 1, 2}, set())
    shares.assigned([2, 3], now=50)
    assert (shares.own, shares.leaving) == ({2, 3}, {0, 1})
    assert shares.overdue(now=60) == {0, 1}


def test_share_that_comes_back_is_not_let_go_after_all() -> None:
    shares = Shares(4, handover_s=10)
    shares.assigned([1], now=0)
    shares.revoked([1], now=5)
    shares.assigned([1], now=6)
    assert shares.overdue(now=100) == set()
    assert (shares.own, shares.leaving) == ({1}, set())
