"""The compiled forest against scikit-learn on the same rows, in one run.

Both predict with one thread, in turn, so that other load of the machine affects both alike. Only the ratios are
comparable across machines. Run it from the root of the repository: `python -m benchmarks.forest`.
"""

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from tapeline.model import features
from tapeline_inference.compiled import CompiledForest
from tapeline_trainer.model.bundle import forest_from_sklearn

COLUMNS: Final = len(features.FEATURE_NAMES)
TRAINING_ROWS: Final = 200_000
BATCHES: Final = {1: 200, 100: 150, 1_000: 60, 10_000: 15}
"""Repetitions by rows of a call."""


def rows(count: int, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return heavy-tailed rows and labels with a weak signal (AUC near 0.67), as trades have them."""
    random = np.random.default_rng(seed)
    x = random.standard_t(4, size=(count, COLUMNS)) * np.linspace(0.5, 5.0, COLUMNS)
    x[:, 0] = np.sign(x[:, 0])
    signal = 0.27 * x[:, 0] + 0.15 * np.tanh(x[:, 1]) + 0.3 * np.sin(x[:, 2]) * np.sign(x[:, 3])
    signal += 0.2 * (x[:, 4] > x[:, 5]) + 0.1 * np.tanh(x[:, 6])
    y = random.random(count) < 1.0 / (1.0 + np.exp(-2.0 * signal))
    return x.astype(np.float32), y.astype(np.int64)


@functools.cache
def fitted(training_rows: int = TRAINING_ROWS) -> RandomForestClassifier:
    """Return a forest of 100 trees of depth 10: large, and hard for a branch predictor."""
    x, y = rows(training_rows, seed=0)
    model = RandomForestClassifier(100, max_depth=10, random_state=0, n_jobs=1)
    return model.fit(x, y)


def medians_ms(methods: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median time of each method in ms, the methods called in turn."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(repeats):
        for name, method in methods.items():
            start_ns = time.perf_counter_ns()
            method()
            times[name].append((time.perf_counter_ns() - start_ns) / 1e6)
    return {name: float(np.median(taken)) for name, taken in times.items()}


def measure() -> dict[str, Any]:
    """Return times and ratios at each batch size, and the number of bit-identical predictions."""
    model = fitted()
    forest = forest_from_sklearn(model)
    compiled = CompiledForest(forest, COLUMNS)
    x, _ = rows(max(BATCHES), seed=5)
    equal = np.count_nonzero(compiled.predict(x) == model.predict_proba(x)[:, 1])
    result: dict[str, Any] = {
        "forest": {"trees": forest.trees, "nodes": forest.nodes, "columns": COLUMNS},
        "identical": {"rows": len(x), "equal": int(equal)},
        "rows": {},
    }
    for count, repeats in BATCHES.items():
        batch = np.ascontiguousarray(x[:count])
        methods: dict[str, Callable[[], Any]] = {
            "scikit_learn_ms": functools.partial(model.predict_proba, batch),
            "compiled_ms": functools.partial(compiled.predict, batch),
        }
        times = medians_ms(methods, repeats)
        ratio = times["scikit_learn_ms"] / times["compiled_ms"]
        result["rows"][str(count)] = {**times, "ratio": ratio}
    return result


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
    sys.stdout.write("\n")
