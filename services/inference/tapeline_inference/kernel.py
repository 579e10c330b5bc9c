"""Compiled traversals: the same sum of the same leaves in the same order as `tapeline.model.forest.predict`.

Written for the resulting machine code: seven instructions a node (load, two extractions,
shift, compare, add the carry), no branch, eight rows at a time so that their loads overlap, blocks
of rows small enough to stay in the first-level cache beside one tree. Unsigned indices keep numba
from emitting negative-index checks; there is no bounds check, so only checked forests are allowed.
No fast-math: the order of the additions determines the last bit.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numba
from numba import float64, int32, int64, uint32, uint64

BLOCK_ROWS: Final = 256
_SIGN: Final = 0x8000_0000
_ROOT: Any = uint64(0)

_keys_type: Final = uint32[::1]
_bits_type: Final = int32[:, ::1]
_PACKED: Final = numba.void(uint64[::1], float64[::1], uint64[::1], int64[::1], _bits_type, _keys_type, float64[::1])
_WIDE: Final = numba.void(
    uint32[::1], int64[::1], int64[::1], int64[::1], float64[::1], int64[::1], _bits_type, float64[::1]
)


@numba.njit(inline="always")
def _key(bits):  # type: ignore[no-untyped-def]
    """Key of a float32 given as its int32 bits; see layout.keys_of."""
    ordered = bits if bits >= 0 else int32(-2147483648) - bits
    return uint32(uint32(ordered) ^ uint32(_SIGN))


@numba.njit(inline="always")
def _step(nodes, base, keys, lane, place):  # type: ignore[no-untyped-def]
    """Index of the child that a row of `lane` goes to."""
    node = nodes[base + place]
    column = (node >> uint64(16)) & uint64(0xFFFF)
    return (node & uint64(0xFFFF)) + uint64(keys[lane + column] > uint32(node >> uint64(32)))


@numba.njit(inline="always")
def _spread(bits, first, rows, keys):  # type: ignore[no-untyped-def]
    """Keys of a block: groups of eight rows, column by column, the eight side by side."""
    columns = bits.shape[1]
    for row in range(rows):
        start = (row >> 3) * columns * 8 + (row & 7)
        for column in range(columns):
            keys[start + column * 8] = _key(bits[first + row, column])


@numba.njit(inline="always")
def _walk_eight(nodes, probability, base, depth, keys, lane, total, row):  # type: ignore[no-untyped-def]
    """Add one tree's probabilities for eight rows."""
    a = b = c = d = e = f = g = h = _ROOT
    for _ in range(depth):
        a = _step(nodes, base, keys, lane, a)
        b = _step(nodes, base, keys, lane + uint64(1), b)
        c = _step(nodes, base, keys, lane + uint64(2), c)
        d = _step(nodes, base, keys, lane + uint64(3), d)
        e = _step(nodes, base, keys, lane + uint64(4), e)
        f = _step(nodes, base, keys, lane + uint64(5), f)
        g = _step(nodes, base, keys, lane + uint64(6), g)
        h = _step(nodes, base, keys, lane + uint64(7), h)
    total[row] += probability[base + a]
    total[row + uint64(1)] += probability[base + b]
    total[row + uint64(2)] += probability[base + c]
    total[row + uint64(3)] += probability[base + d]
    total[row + uint64(4)] += probability[base + e]
    total[row + uint64(5)] += probability[base + f]
    total[row + uint64(6)] += probability[base + g]
    total[row + uint64(7)] += probability[base + h]


def _packed(nodes, probability, tree_start, depth, bits, keys, total):  # type: ignore[no-untyped-def]
    count, columns = bits.shape
    for first in range(0, count, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, count - first)
        _spread(bits, first, rows, keys)
        whole = rows >> 3
        for tree in range(len(depth)):
            base = tree_start[tree]
            for group in range(whole):
                lane = uint64(group * columns * 8)
                row = uint64(first + group * 8)
                _walk_eight(nodes, probability, base, depth[tree], keys, lane, total, row)
            for rest in range(whole * 8, rows):
                lane = uint64((rest >> 3) * columns * 8 + (rest & 7))
                place = _ROOT
                for _ in range(depth[tree]):
                    place = _step(nodes, base, keys, lane, place)
                total[first + rest] += probability[base + place]
    for done in range(count):
        total[done] /= len(depth)


def _wide(key, feature, left, right, probability, tree_start, bits, total):  # type: ignore[no-untyped-def]
    for row in range(bits.shape[0]):
        for tree in range(len(tree_start)):
            node = tree_start[tree]
            while feature[node] >= 0:
                node = left[node] if _key(bits[row, feature[node]]) <= key[node] else right[node]
            total[row] += probability[node]
        total[row] /= len(tree_start)


@functools.cache
def compile_kernels(cache: Path | None) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return the packed and the wide traversal as machine code that releases the GIL.

    Args:
        cache: folder of machine code for the next start, or None. Whoever can write
            there decides what this process runs: it must belong to this service alone.
    """
    options: dict[str, Any] = {"nogil": True}
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        numba.config.CACHE_DIR = str(cache)  # type: ignore[attr-defined]
        options["cache"] = True
    return numba.njit(_PACKED, **options)(_packed), numba.njit(_WIDE, **options)(_wide)
