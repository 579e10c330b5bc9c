"""The board's page in a real Chromium, over the real board and a real Elasticsearch full of documents."""

import time
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch
from support import eventually
from tapeline import names
from tapeline_local.stack.stack import Stack

from stack.board_with_market import running_board
from stack.fast import fast_options
from stack.made_market import MINUTE_MS, MadeMarket, Pump
from stack.servers import Servers
from stack.watching import PHONE, Watched, watching


@pytest.fixture(scope="module")
def stack(servers: Servers) -> Iterator[Stack]:
    yield from running_board(servers.running_stack, fast_options())


@pytest.fixture(scope="module")
def elastic(stack: Stack, market: MadeMarket) -> Iterator[Elasticsearch]:
    client = Elasticsearch(stack.addresses.elasticsearch, request_timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="module")
def past(market: MadeMarket) -> tuple[int, int]:
    """An hour whose figures stand still."""
    end = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS
    return end - 60 * MINUTE_MS, end


PREDICTED = {"up": {"term": {"prediction": 1}}, "down": {"term": {"prediction": 0}}}
PART = {"all": {"match_all": {}}, "buy": {"term": {"side": "Buy"}}, "sell": {"term": {"side": "Sell"}}} | PREDICTED


def counted(elastic: Elasticsearch, past: tuple[int, int], *clauses: dict, bucket_ms: int = 1) -> dict[str, dict]:
    """Return what Elasticsearch counts, by the text of an instrument: of the hour, and medians of its last bucket."""

    def within(begin: int) -> dict:
        return {"range": {"@timestamp": {"gte": begin, "lt": past[1], "format": "epoch_millis"}}}

    middle = {"median": {"percentiles": {"field": "price", "percents": [50]}}}
    newest = {name: {"filter": part, "aggs": middle} for name, part in PART.items()}
    mean = {"mean": {"avg": {"field": "base_quantity"}}}
    aggs = {name: {"filter": part, "aggs": mean} for name, part in PART.items()}
    aggs["last"] = {"filter": within(past[1] - bucket_ms), "aggs": newest}
    answer = elastic.search(
        index="tapeline-trades-*",
        size=0,
        query={"bool": {"filter": [within(past[0]), *clauses]}},
        aggs={
            "venues": {
                "terms": {"field": "venue"},
                "aggs": {
                    "markets": {
                        "terms": {"field": "market_type"},
                        "aggs": {"symbols": {"terms": {"field": "symbol"}, "aggs": aggs}},
                    }
                },
            }
        },
    )
    return {
        f"{venue['key']}:{market['key']}:{symbol['key']}": symbol
        for venue in answer["aggregations"]["venues"]["buckets"]
        for market in venue["markets"]["buckets"]
        for symbol in market["symbols"]["buckets"]
    }


def median(bucket: dict, name: str) -> float:
    return bucket["last"][name]["median"]["values"]["50.0"]


def mean(bucket: dict, name: str) -> float:
    return bucket[name]["mean"]["value"]


def at_rest(url: str, past: tuple[int, int], more: str = "") -> str:
    return f"{url}/?instrument=bybit:spot:ETHUSDT&from={past[0]}&to={past[1]}&numbers=1{more}"


def test_each_view_shows_the_numbers_of_elasticsearch(browser, url, elastic, past):
    bucket_ms = 30_000
    truth = counted(elastic, past, bucket_ms=bucket_ms)
    with watching(browser, at_rest(url, past)) as watched:
        watched.ready()
        active = {row[0]: int(row[1]) for row in watched.table("active")}
        assert active == {key: bucket["doc_count"] for key, bucket in truth.items()}
        assert list(active.values()) == sorted(active.values(), reverse=True)
        for key, bought, sold, share in watched.table("share"):
            parts = [truth[key][side]["doc_count"] for side in ("buy", "sell")]
            assert [int(bought), int(sold)] == parts
            assert float(share) == pytest.approx(parts[0] / sum(parts))
        for key, up, down, _ in watched.table("volume"):
            assert (float(up), float(down)) == pytest.approx((mean(truth[key], "up"), mean(truth[key], "down")))
        prices = {row[0]: float(row[1]) for row in watched.table("price")}
        lately = {key: bucket for key, bucket in truth.items() if bucket["last"]["doc_count"]}
        assert len(lately) > 5
        assert {key: prices[key] for key in lately} == pytest.approx({k: median(b, "all") for k, b in lately.items()})
        ours = truth["bybit:spot:ETHUSDT"]
        at, bought, sold, difference = map(float, watched.table("median")[0])
        assert at == past[1] - bucket_ms
        assert (bought, sold) == pytest.approx((median(ours, "buy"), median(ours, "sell")))
        assert difference == pytest.approx((bought / sold - 1) * 10_000)
        predicted = [float(value) for value in watched.table("prediction")[0][1:]]
        assert predicted == pytest.approx([median(ours, name) for name in ("all", "up", "down")])
        assert watched.own_complaints() == []


def test_the_chart_shows_the_candle_of_elasticsearch_and_draws_the_gap(browser, url, elastic, past):
    address = f"{url}/?instrument=bybit:spot:BTCUSDT&from={past[0]}&to={past[1]}"
    with watching(browser, address) as watched:
        watched.ready()
        legend = watched.page.locator(".legend[data-pane=price]")
        at = int(legend.get_attribute("data-at") or 0)
        assert at == past[1] - MINUTE_MS
        index = names.monthly_index(names.INDEX_CANDLES_PREFIX, at)
        found = elastic.get(index=index, id=f"bybit|spot|BTCUSDT|{at}")["_source"]
        for name in ("open", "high", "low", "close"):
            assert f"{found[name]:,.1f}" in legend.inner_text()
        assert f"{found['rsi_14']:.1f}" in watched.texts(".legend[data-pane=rsi]")[0]
        watched.painted()
        eventually(lambda: watched.page.get_attribute(".chart", "data-gaps") == "1", "the gap is drawn")
        assert watched.own_complaints() == []


def test_model_reconciliation_and_alerts_show_what_is_stored(browser, url, elastic, stack):
    sums = {name: {"sum": {"field": name}} for name in ("predictions", "hits")}
    with watching(browser, f"{url}/?instrument=bybit:spot:ETHUSDT") as watched:
        watched.ready()
        eventually(lambda: watched.texts(".scores dd[data-value]"), "scores are there")
        scores = watched.page.eval_on_selector_all(
            ".scores dd", "(found) => found.map((one) => Number(one.dataset.value))"
        )
        since = {"range": {"@timestamp": {"gte": "now-60m"}}}
        found = elastic.search(index="tapeline-scores-*", size=0, query=since, aggs=sums)["aggregations"]
        assert scores[0] == pytest.approx(found["hits"]["value"] / found["predictions"]["value"], rel=0.05)
        assert "Better than the prior" in watched.texts(".model .summary")[0]
        eventually(lambda: "prior" in " ".join(watched.texts(".served dd")[:1]), "the served model", 60)
        eventually(lambda: any("SOLUSDT" in text for text in watched.texts(".alert-rows li")), "the alert")
        eventually(lambda: len(watched.texts(".training-runs li")) == 2, "both training runs")
        assert watched.page.get_attribute(".reconciliation", "data-reconciled") == "true"
        stages = {
            name: int(watched.page.get_attribute(f"[data-stage={name}]", "data-value") or -1)
            for name in ("produced", "indexed", "rejected")
        }
        assert stages["produced"] == stages["indexed"] > 1_000 and stages["rejected"] == 0
        assert set(watched.texts(".reconciliation .summary")) == {"Reconciled"}
        assert watched.own_complaints() == []


def test_filters_change_every_view_and_a_reload_keeps_them(browser, url, elastic, past):
    with watching(browser, at_rest(url, past)) as watched:
        page = watched.ready().page
        page.click("[data-filter=side] [data-option=Buy]")
        page.click("[data-filter=prediction] [data-option='1']")
        page.click(".watch-row[data-instrument='bybit:spot:SOLUSDT'] input")
        clauses = ({"term": {"side": "Buy"}}, {"term": {"prediction": 1}}, {"term": {"symbol": "SOLUSDT"}})
        bucket = counted(elastic, past, *clauses)["bybit:spot:SOLUSDT"]
        wanted = [["bybit:spot:SOLUSDT", str(bucket["doc_count"]), "1"]]
        eventually(lambda: watched.table("active") == wanted, "the filters hold")
        assert float(watched.table("volume")[0][1]) == pytest.approx(mean(bucket, "up"))
        for part in ("side=Buy", "prediction=up", "only=bybit:spot:SOLUSDT", f"from={past[0]}"):
            assert part in watched.address
        page.reload()
        eventually(lambda: watched.table("active") == wanted, "the filters hold after a reload")
        assert page.get_attribute("[data-filter=side] [data-option=Buy]", "aria-pressed") == "true"
        page.go_back()
        eventually(lambda: len(watched.table("active")) > 1, "the step back takes the last filter away")
        page.click("[data-filter=span] [data-option='15m']")
        assert "from=" not in watched.address and "span=15m" in watched.address
        assert watched.own_complaints() == []


def test_the_keyboard_does_what_the_help_says(browser, url):
    with watching(browser, f"{url}/?instrument=bybit:spot:BTCUSDT") as watched:
        page = watched.ready().page
        page.keyboard.press("n")
        eventually(lambda: page.query_selector(".view[data-mode=figures]"), "figures")
        page.keyboard.press("b")
        assert "side=Buy" in watched.address
        second = page.get_attribute(".watch-row:nth-child(2)", "data-instrument") or ""
        first = page.get_attribute(".watch-row:nth-child(1)", "data-instrument") or ""
        page.keyboard.press("k")
        page.keyboard.press("j")
        assert f"instrument={second}" in watched.address or f"instrument={first}" in watched.address
        page.keyboard.press("n")
        page.click("[data-view=active] .bar-row[data-instrument='bybit:spot:SOLUSDT']")
        legend = "document.querySelector('h1').textContent"
        eventually(lambda: page.evaluate(legend) == "SOLUSDT", "a bar puts its symbol on the chart")
        watched.ready()
        page.keyboard.press("?")
        assert page.is_visible("dialog.help")
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type("doge")
        eventually(lambda: watched.texts(".watch-row b") == ["DOGEUSDT"], "the search finds it")
        assert watched.own_complaints() == []


LOOKS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True, "device_scale_factor": 2},
    "italian": {"locale": "it-IT"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_it_looks_alive_everywhere(browser, url, market, stack, look):
    with (
        Pump(stack.addresses.elasticsearch, market, per_s=20),
        watching(browser, f"{url}/?instrument=bybit:spot:BTCUSDT", **LOOKS[look]) as watched,
    ):
        watched.ready()
        before = watched.texts(".tape-rows tbody tr:first-child")
        eventually(lambda: watched.texts(".tape-rows tbody tr:first-child") != before, "the tape moves")
        watched.painted()
        eventually(
            lambda: watched.texts(".connection-status") in (["Live"], ["In diretta"]), "the page says that it is live"
        )
        watched.picture(look)
        page = watched.page
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], "the page is wider than the window"
        assert page.get_attribute("html", "lang") == ("it" if look == "italian" else "en")
        assert page.get_attribute("html", "data-theme") == ("dark" if look == "dark" else "light")
        assert watched.own_complaints() == []


def test_elasticsearch_killed_and_back(browser, url, market, stack, servers):
    with watching(browser, f"{url}/?instrument=bybit:spot:BTCUSDT") as watched:
        watched.ready()
        shown = bars(watched)
        assert shown
        servers.stack("elasticsearch").kill("elasticsearch")
        eventually(
            lambda: "Elasticsearch is unavailable" in watched.texts(".connection-status")[0], "the page says so", 30
        )
        assert bars(watched) == shown, "what was known stays"
        assert watched.page.get_attribute("main", "data-stale") == "true", "and does not look alive"
        watched.picture("away")
        servers.stack("elasticsearch").wait_ready("elasticsearch")
        eventually(lambda: watched.texts(".connection-status") == ["Live"], "the page recovers", 60)
        assert watched.page.get_attribute("main", "data-stale") is None
        with Pump(stack.addresses.elasticsearch, market, per_s=20):
            before = watched.texts(".tape-rows tbody tr:first-child")
            eventually(lambda: watched.texts(".tape-rows tbody tr:first-child") != before, "the tape moves again")
        assert watched.own_complaints() == []


def bars(watched: Watched) -> list[str]:
    return watched.page.eval_on_selector_all("[data-view=active] .bar-row", "(r) => r.map((o) => o.dataset.instrument)")
