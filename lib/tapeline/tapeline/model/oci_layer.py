"""Packs and unpacks the one layer of a model image: a tar with one bundle and its pointer, in a gzip envelope.

    <digest>/{manifest.json,forest.npz,golden.npz}  and  current

The same bundle is the same bytes everywhere: every field of a header is fixed here, and the envelope stores
without compressing, because the output of zlib depends on its version. Reading allows these names as plain
files and nothing else, before a byte is written: no links, no other paths, no devices, no sizes above a
bundle's own limits.
Source of the envelope: RFC 1951 section 3.2.4, RFC 1952; without one some tools refuse the layer.
"""

import hashlib
import io
import re
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Final

from tapeline.model import bundle
from tapeline.model.bundle import BYTES_MAX, CURRENT, MANIFEST, BundleRefused

SIZE_MAX: Final = sum(BYTES_MAX.values()) + (1 << 17)
"""Bytes of a layer, envelope or not."""
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_BLOCK_BYTES: Final = 65_535
_CURRENT_BYTES_MAX: Final = 128
_FOLDER: Final = re.compile(r"[0-9a-f]{64}")


def pack(models: Path, digest: str) -> bytes:
    """Return the tar of one bundle, whose `current` names it.

    Raises:
        OSError: a file cannot be read.
    """
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(_member(digest, tarfile.DIRTYPE, 0o755, 0))
        for name in sorted(BYTES_MAX):
            _add(archive, f"{digest}/{name}", (models / digest / name).read_bytes())
        _add(archive, CURRENT, f"{digest}\n".encode())
    return written.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, tarfile.REGTYPE, 0o644, len(content)), io.BytesIO(content))


def _member(name: str, kind: bytes, mode: int, size: int) -> tarfile.TarInfo:
    """Return a header whose every field is fixed here: owner root, time 0."""
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size = kind, mode, size
    return member


def wrap(tar: bytes) -> bytes:
    """Return a gzip file that stores a tar as it is."""
    parts = [_GZIP_HEADER]
    for start in range(0, len(tar), _BLOCK_BYTES):
        block = tar[start : start + _BLOCK_BYTES]
        is_last = start + _BLOCK_BYTES >= len(tar)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, struct.pack("<II", zlib.crc32(tar), len(tar))])


def _unwrap(layer: bytes) -> bytes:
    envelope = zlib.decompressobj(wbits=31)
    try:
        tar = envelope.decompress(layer, SIZE_MAX + 1)
    except zlib.error as error:
        raise BundleRefused("image", "layer", f"no gzip file ({error})", "it must be one, of a tar") from None
    if len(tar) > SIZE_MAX or not envelope.eof or envelope.unused_data:
        was = f"{len(tar)} bytes and more" if len(tar) > SIZE_MAX else "not one whole gzip file"
        raise BundleRefused("image", "layer", was, f"it must be one, of a tar of {SIZE_MAX} bytes at most")
    return tar


def unpack(layer: bytes, models: Path) -> str:
    """Unpack the bundle of a layer into a folder of models, verify it, make it the current one, return its digest.

    Bundle and `current` each appear atomically.

    Raises:
        BundleRefused: the layer holds anything else, or its bundle fails a check.
        OSError: the folder cannot be written.
    """
    contents = _contents(_unwrap(layer))
    current = contents.pop(CURRENT, b"").decode("ascii", "replace").strip()
    expected = {f"{current}/{name}" for name in BYTES_MAX}
    if not _FOLDER.fullmatch(current) or set(contents) != expected:
        was = f"{sorted(contents)} with current {current[:80]!r}"
        raise BundleRefused("image", "files of the layer", was, "they must be one whole bundle, named by current")
    files = {name.partition("/")[2]: content for name, content in contents.items()}
    if hashlib.sha256(files[MANIFEST]).hexdigest() != current:
        raise BundleRefused("image", f"sha256 of {MANIFEST}", "another", f"it must be {current}, its folder's name")
    digest = bundle.put(models, files)
    bundle.promote(models, digest)
    return digest


def _contents(tar: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            for member in archive:
                if member.type == tarfile.DIRTYPE and _FOLDER.fullmatch(member.name):
                    continue
                _check_member(member, found)
                file = archive.extractfile(member)
                found[member.name] = file.read() if file is not None else b""
    # A damaged header can surface as any of these; deep chains of extended headers as the last.
    except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
        was = f"unreadable ({type(error).__name__})"
        raise BundleRefused("image", "layer", was, "it must be the tar that oci_layer.pack writes") from None
    return found


def _check_member(member: tarfile.TarInfo, found: dict[str, bytes]) -> None:
    folder, _, file = member.name.partition("/")
    is_current = member.name == CURRENT
    limit = _CURRENT_BYTES_MAX if is_current else BYTES_MAX.get(file, 0)
    is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.sparse is None
    if not is_plain or member.name in found or not (is_current or (_FOLDER.fullmatch(folder) and limit)):
        rule = f"it must be {CURRENT} or one of {', '.join(BYTES_MAX)} below its digest, a plain file, once"
        raise BundleRefused("image", "member of the layer", repr(member.name[:200]), rule)
    if not 0 <= member.size <= limit:
        raise BundleRefused("image", f"size of {member.name}", member.size, f"{limit} is the most")
