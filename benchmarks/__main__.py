"""`make bench`: every benchmark, one after the other; results in build/bench.json.

`python -m benchmarks NAME ...` runs some of them. Every ratio is taken within one run.
"""

import json
import os
import platform
import sys
import time

from tapeline_local import paths

from benchmarks import end_to_end, forest, micro_batch, predict

BENCHMARKS = {
    "forest": forest.measure,
    "predict": predict.measure,
    "micro_batch": micro_batch.measure,
    "end_to_end": end_to_end.measure,
}


def main() -> int:
    """Run the named benchmarks, or all."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    path = paths.BUILD / "bench.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in chosen:
        sys.stdout.write(f"{name} ...\n")
        sys.stdout.flush()
        load_before = os.getloadavg()[0]
        started = time.monotonic()
        measured = BENCHMARKS[name]()
        run_info = {"load_before": round(load_before, 2), "took_s": round(time.monotonic() - started, 1)}
        results[name] = {**measured, **run_info, "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2), encoding="utf-8")
        sys.stdout.write(json.dumps(results[name], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
