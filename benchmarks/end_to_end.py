"""Latency from produce() to Elasticsearch's response at several rates, with memory and lag.

If SPIKE names the folder of an installed spike, also measures the spike on the same machine at the same time, so that
the ratios are comparable.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tapeline_local.demo.stats import StatsCollector
from tapeline_local.stack.stack import Stack

from benchmarks.synthetic_stack import load, running

RATES = (500, 5_000, 15_000)
SECONDS = 40
# Elasticsearch's JIT needs some 150,000 documents; before that, a document costs five times as much.
WARM_UP = (5_000, 40)
_DELAY = "tapeline_stream_ack_delay_seconds_bucket"
_SPIKE_LINE = re.compile(r"RATE (\d+): .*?exact (\w+); ack latency p50 (\d+) p90 (\d+) p99 (\d+)")


def _buckets(stack: Stack) -> dict[float, float]:
    text = httpx.get(f"{stack.addresses.spark}/metrics", trust_env=False).text
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return {float(s.labels["le"]): s.value for s in samples if s.name == _DELAY}


def _percentile_ms(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Return the upper edge of the bucket that holds the percentile: at most 12 % too high."""
    total = after[float("inf")] - before.get(float("inf"), 0)
    for edge in sorted(after):
        if after[edge] - before.get(edge, 0) >= share * total:
            return edge * 1000
    return float("inf")


def _drained(collector: StatsCollector, produced: int, timeout_s: float = 120.0) -> tuple[bool, float]:
    started = time.monotonic()
    while time.monotonic() - started < timeout_s:
        if collector.collect().indexed == produced:
            return True, time.monotonic() - started
        time.sleep(0.2)
    return False, timeout_s


def _measure_rate(stack: Stack, collector: StatsCollector, rate: int) -> dict[str, Any]:
    before = _buckets(stack)
    loading = load(stack, rate, SECONDS, f"r{rate}")
    lags = []
    while loading.poll() is None:
        snapshot = collector.collect()
        lags.append((snapshot.produced or 0) - (snapshot.indexed or 0))
        time.sleep(2)
    assert loading.stdout is not None
    done = json.loads(loading.stdout.read())
    rss_mib = {status.name: status.rss_mib for status in stack.status()}
    exact, drained_s = _drained(collector, collector.produced_total() or 0)
    after = _buckets(stack)
    half = len(lags) // 2
    return {
        "acked": done["acked"],
        "exact": exact,
        "p50_ms": round(_percentile_ms(before, after, 0.5)),
        "p90_ms": round(_percentile_ms(before, after, 0.9)),
        "p99_ms": round(_percentile_ms(before, after, 0.99)),
        "lag_first_half": round(sum(lags[:half]) / max(1, half)),
        "lag_second_half": round(sum(lags[half:]) / max(1, len(lags) - half)),
        "drained_s": round(drained_s, 1),
        "rss_mib": rss_mib | {"total": sum(rss_mib.values())},
    }


def _spike(folder: str) -> dict[str, Any]:
    env = {**os.environ, "RATES": ",".join(map(str, RATES)), "SECS": str(SECONDS)}
    python = f"{folder}/.venv/bin/python"
    done = subprocess.run([python, "measure.py"], cwd=folder, env=env, capture_output=True, text=True, check=False)
    found: dict[str, Any] = {}
    for rate, exact, p50, p90, p99 in _SPIKE_LINE.findall(done.stdout):
        found[rate] = {"exact": exact == "True", "p50_ms": int(p50), "p90_ms": int(p90), "p99_ms": int(p99)}
    return found or {"failed": done.stdout[-500:] + done.stderr[-500:]}


def _ratios(ours: dict[str, Any], spike: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for rate in ours.keys() & spike.keys():
        for name in ("p50_ms", "p99_ms"):
            yield f"{name}_at_{rate}_to_spike", round(ours[rate][name] / spike[rate][name], 2)


def measure() -> dict[str, Any]:
    """Return the measurements by rate, and the ratios to the spike if SPIKE is set."""
    with running("kafka", "elasticsearch", "inference", "spark") as stack:
        collector = StatsCollector(stack.addresses, received_before=0, with_simulator=False)
        load(stack, *WARM_UP, "warm").wait()
        _drained(collector, collector.produced_total() or 0)
        ours = {str(rate): _measure_rate(stack, collector, rate) for rate in RATES}
        collector.close()
    result: dict[str, Any] = {"tapeline": ours}
    folder = os.environ.get("SPIKE")
    if folder:
        result["spike"] = _spike(folder)
        result["ratios"] = dict(_ratios(ours, result["spike"]))
    return result


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=2) + "\n")
