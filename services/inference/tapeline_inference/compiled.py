"""Compiled forest: fast prediction, callable from several threads.

Equal to `tapeline.model.forest.predict` and so to scikit-learn, to the last bit: tested, and
verified again on the golden rows of each bundle before it is served.
"""

from pathlib import Path

import numpy as np
from tapeline.model.forest import BundleRefused, Floats, Forest, Singles

from tapeline_inference import kernel, layout


class CompiledForest:
    """One forest; immutable, so a model swap replaces the object and never its content."""

    def __init__(self, forest: Forest, columns: int, cache: Path | None = None) -> None:
        """Lay out a forest that passed `tapeline.model.forest.check`; compiles on first use in a process.

        Args:
            forest: the trees.
            columns: of the matrices to predict.
            cache: folder of machine code, see kernel.compile_kernels.
        """
        self._columns = columns
        self._packed_walk, self._wide_walk = kernel.compile_kernels(cache)
        self._packed = layout.pack(forest) if layout.fits(forest, columns) else None
        self._wide = layout.widen(forest) if self._packed is None else None

    def predict(self, x: Singles) -> Floats:
        """Return (n,) float64, the probability of class 1 of every row.

        Args:
            x: (n, columns) float32, finite; the caller checks that.

        Raises:
            ValueError: another type or shape, which would crash the kernel.
        """
        if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != self._columns:
            raise ValueError(f"rows were {x.dtype} {x.shape}; they must be float32 (n, {self._columns})")
        total = np.zeros(len(x))
        bits = np.ascontiguousarray(x).view(np.int32)
        if self._packed is not None:
            block = min(len(x), kernel.BLOCK_ROWS)
            keys = np.empty(-(-block // layout.LANES) * layout.LANES * self._columns, dtype=np.uint32)
            p = self._packed
            self._packed_walk(p.nodes, p.probability, p.tree_start, p.depth, bits, keys, total)
        elif self._wide is not None:
            w = self._wide
            arrays = (w.key, w.feature, w.left, w.right, w.probability, w.tree_start)
            self._wide_walk(*arrays, bits, total)
        return total

    def verify(self, golden_x: Singles, golden_p: Floats) -> None:
        """Verify this form on the golden rows of the bundle.

        Raises:
            BundleRefused: a probability differs, even in the last bit.
        """
        wrong = int(np.sum(self.predict(golden_x) != golden_p))
        if wrong:
            was = f"different in {wrong} of {len(golden_x)} golden rows"
            raise BundleRefused("compiled", "the compiled forest", was, "it must equal the reference")
