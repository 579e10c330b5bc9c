import io
import zipfile

import numpy as np
import pytest
from tapeline.model import npz
from tapeline.model.forest import BundleRefused

TYPES = {"x": np.dtype("<f4"), "n": np.dtype("<i8")}
GOOD = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.arange(4)}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def headed(shape: str, body: bytes = b"", descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(118).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def test_packed_arrays_come_back_equal_and_writable() -> None:
    back = npz.unpack(npz.pack(GOOD), TYPES, "t.npz")
    assert all(np.array_equal(back[name], GOOD[name]) and back[name].dtype == TYPES[name] for name in TYPES)
    assert all(back[name].flags.writeable and back[name].flags.c_contiguous for name in TYPES)


def test_equal_arrays_pack_to_equal_bytes() -> None:
    assert npz.pack(GOOD) == npz.pack({name: array.copy() for name, array in GOOD.items()})


N = saved(GOOD["n"])
REFUSED = {
    "no zip": (b"not a zip", "no readable zip"),
    "nothing": (b"", "no readable zip"),
    "a member missing": (zipped({"x.npy": saved(GOOD["x"])}), "members of t.npz"),
    "a member too many": (zipped({"x.npy": b"", "n.npy": N, "y.npy": b""}), "members of t.npz"),
    "a zip bomb": (zipped({"x.npy": saved(np.zeros(10**6)), "n.npy": N}, zipfile.ZIP_DEFLATED), "not compressed"),
    "a pickled object": (zipped({"x.npy": saved(np.array([{}, {}])), "n.npy": N}), "type of x"),
    "another type": (zipped({"x.npy": saved(np.zeros(3)), "n.npy": N}), "type of x"),
    "columns first": (zipped({"x.npy": saved(np.asfortranarray(GOOD["x"])), "n.npy": N}), "by row"),
    "a terabyte by its header": (zipped({"x.npy": headed("(250000000000,)"), "n.npy": N}), "fit the bytes exactly"),
    "a negative shape": (zipped({"x.npy": headed("(-1, -1)", bytes(4)), "n.npy": N}), "type of x"),
    "a header too deep to parse": (zipped({"x.npy": headed("(" + "-" * 5_000 + "1,)"), "n.npy": N}), "header of x"),
    "another version": (zipped({"x.npy": b"\x93NUMPY\x02\x00" + bytes(200), "n.npy": N}), "version of x"),
    "bytes after the array": (zipped({"x.npy": saved(GOOD["x"]) + b"more", "n.npy": N}), "fit the bytes exactly"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_exactly_the_known_arrays_is_refused(case: str) -> None:
    content, message = REFUSED[case]
    with pytest.raises(BundleRefused, match=message) as refused:
        npz.unpack(content, TYPES, "t.npz")
    assert refused.value.reason == "arrays"
