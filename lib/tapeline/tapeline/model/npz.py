"""Packs named plain arrays as .npz bytes, and unpacks untrusted ones.

An .npz is a zip of .npy members. By default numpy trusts a member's header, allocates what
it claims and unpickles object arrays. Here members are stored, not compressed, so no member can be
larger than the file; names and types are known beforehand; and a header must claim exactly the
bytes that follow it.

Source: the layout is numpy.lib.format, version 1.0.
"""

import io
import zipfile
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tapeline.model.forest import BundleRefused

_HEADER_BYTES_MAX: Final = 1_000


def pack(named: dict[str, npt.NDArray[Any]]) -> bytes:
    """Return the .npz bytes of some arrays; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **named)
    return buffer.getvalue()


def unpack(content: bytes, types: dict[str, np.dtype[Any]], name: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz of known names and types.

    Args:
        content: the bytes of the file.
        types: every member's name and exact type; no other may be there.
        name: the file, for messages.

    Raises:
        BundleRefused: reason "arrays".
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, types, name)
            return {key: _array(archive.read(info), types[key], f"{key} of {name}") for key, info in members.items()}
    # zipfile raises many kinds of errors on damage; each means: not a zip we wrote.
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise BundleRefused("arrays", name, f"no readable zip ({error})", "write it with bundle.write") from None


def _members(archive: zipfile.ZipFile, types: dict[str, np.dtype[Any]], name: str) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    found, expected = sorted(info.filename for info in infos), sorted(f"{key}.npy" for key in types)
    if found != expected:
        raise BundleRefused("arrays", f"members of {name}", found[:20], f"they must be {expected}")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            was = f"{info.compress_size} bytes for {info.file_size}"
            raise BundleRefused("arrays", f"{info.filename} of {name}", was, "it must be stored, not compressed")
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _array(content: bytes, dtype: np.dtype[Any], subject: str) -> npt.NDArray[Any]:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise BundleRefused("arrays", f"version of {subject}", version, "it must be (1, 0)")
        shape, by_column, actual = np.lib.format.read_array_header_1_0(stream, _HEADER_BYTES_MAX)
    # The header is a Python literal: damage can also nest too deep for the parser.
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError) as error:
        raise BundleRefused("arrays", f"header of {subject}", f"unreadable ({error})", "it must be .npy") from None
    if actual != dtype or by_column or any(type(axis) is not int or axis < 0 for axis in shape):
        raise BundleRefused("arrays", f"type of {subject}", f"{actual} {shape}", f"it must be {dtype} by row")
    body = content[stream.tell() :]
    count = 1
    for axis in shape:
        count *= axis
    if count * dtype.itemsize != len(body):
        claimed = f"{shape} of {dtype} over {len(body)} bytes"
        raise BundleRefused("arrays", f"shape of {subject}", claimed, "it must fit the bytes exactly")
    array = np.frombuffer(body, dtype=dtype).reshape(shape)
    # A native, aligned copy: kernels read it without checking its flags.
    return np.array(array, dtype=dtype.newbyteorder("="), order="C")
