from pathlib import Path

import numba
import numpy as np
import pytest
from tapeline_inference import kernel
from tapeline_inference.compiled import CompiledForest

from unit.inference import factories


def test_kernels_are_compiled_once_in_a_process() -> None:
    assert kernel.compile_kernels(None) is kernel.compile_kernels(None)


def test_kernels_kept_in_a_folder_answer_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    forest = CompiledForest(factories.forest(), factories.COLUMNS, tmp_path / "code")
    x = factories.rows(100, seed=2)
    assert np.array_equal(forest.predict(x), factories.expected_probabilities(x))
    assert list((tmp_path / "code").rglob("*.nbi"))
