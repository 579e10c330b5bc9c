"""Loads tampered bundles in a separate process, which a bad bundle might crash.

Run with the folder of one good bundle and a seed; prints one line an attempt, `refused <reason>`,
`same` or `different`; being killed shows in the exit code.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
from tapeline.model import bundle as model_bundle
from tapeline.model.bundle import BundleRefused
from tapeline_inference.compiled import CompiledForest

from unit.inference import factories

ATTEMPTS = 150
NASTY = (-(2**31), -2, -1, 0, 1, 10**9, 2**31 - 1)
NASTY_FLOATS = (np.nan, np.inf, -np.inf, -1.0, 2.0, 1e308, -0.0)


def print_outcome(what: str, outcome: str) -> None:
    sys.stdout.write(f"{what} {outcome}\n")
    sys.stdout.flush()


def attempt(models: Path, digest: str, golden_p: np.ndarray) -> str:
    try:
        bundle = model_bundle.read(models, digest)
        compiled = CompiledForest(bundle.forest, factories.COLUMNS)
        compiled.verify(bundle.golden_x, bundle.golden_p)
    except BundleRefused as error:
        return f"refused {error.reason}"
    probabilities = compiled.predict(factories.rows(500, seed=3))
    sane = bool(np.all((probabilities >= 0.0) & (probabilities <= 1.0)))
    return "same" if sane and np.array_equal(bundle.golden_p, golden_p) else "different"


def flip_bytes(models: Path, digest: str, golden_p: np.ndarray, random: np.random.Generator) -> None:
    for number in range(ATTEMPTS):
        name = (model_bundle.MANIFEST, model_bundle.FOREST, model_bundle.GOLDEN)[number % 3]
        path = models / digest / name
        original = path.read_bytes()
        damaged = bytearray(original)
        for place in random.integers(0, len(original), size=random.integers(1, 9)):
            damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        print_outcome("flip", attempt(models, digest, golden_p))
        # The same damage with right hashes reaches the parsers behind them.
        if name != model_bundle.MANIFEST:
            path.write_bytes(original)
            forged = factories.forge(models, digest, {name: bytes(damaged)})
            print_outcome("parse", attempt(models, forged, golden_p))
        path.write_bytes(original)


def tamper_values(models: Path, digest: str, golden_p: np.ndarray, random: np.random.Generator) -> None:
    forest = model_bundle.read(models, digest).forest
    for number in range(ATTEMPTS):
        field = ("left", "right", "feature", "threshold", "probability", "tree_start")[number % 6]
        array = getattr(forest, field).copy()
        place = random.integers(0, len(array))
        nasty = NASTY_FLOATS if array.dtype.kind == "f" else (*NASTY, int(place), len(array))
        array[place] = random.choice(nasty)
        forged = factories.forge_forest(models, digest, dataclasses.replace(forest, **{field: array}))
        print_outcome("value", attempt(models, forged, golden_p))


def main() -> None:
    models, random = Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
    digest = model_bundle.current(models)
    golden_p = model_bundle.read(models, digest).golden_p
    flip_bytes(models, digest, golden_p, random)
    tamper_values(models, digest, golden_p, random)
    print_outcome("end", attempt(models, digest, golden_p))


if __name__ == "__main__":
    main()
