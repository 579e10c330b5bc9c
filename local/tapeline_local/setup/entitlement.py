"""Patches Elasticsearch to boot on a trimmed JRE.

The module descriptor of elasticsearch-entitlement-*.jar requires jdk.jdi and jdk.jlink, which a trimmed JRE lacks;
no class of the jar uses either. Substitute modules are not accepted (java.base holds their hashes), so the two
entries are removed from the local copy.
Remove this module once Elasticsearch drops them.
Source: Java Virtual Machine Specification, chapter 4 (class file), section 4.7.25 (Module attribute).
"""

import struct
import zipfile
from pathlib import Path

_DESCRIPTOR = "module-info.class"
_UTF8, _MODULE_OR_CLASS = 1, (7, 8, 16, 19, 20)
_FIVE_BYTES, _NINE_BYTES, _METHOD_HANDLE = (3, 4, 9, 10, 11, 12, 17, 18), (5, 6), 15


def _constants(code: bytes) -> tuple[dict[int, str], dict[int, int], int]:
    """Return the texts and the name references of a constant pool, and the offset behind it."""
    (count,) = struct.unpack_from(">H", code, 8)
    texts: dict[int, str] = {}
    names: dict[int, int] = {}
    offset, index = 10, 1
    while index < count:
        tag = code[offset]
        if tag == _UTF8:
            (length,) = struct.unpack_from(">H", code, offset + 1)
            texts[index] = code[offset + 3 : offset + 3 + length].decode()
            offset += 3 + length
        elif tag in _MODULE_OR_CLASS:
            (names[index],) = struct.unpack_from(">H", code, offset + 1)
            offset += 3
        elif tag in _FIVE_BYTES:
            offset += 5
        elif tag in _NINE_BYTES:
            offset += 9
            index += 1  # occupies two entries of the pool
        elif tag == _METHOD_HANDLE:
            offset += 4
        else:
            raise ValueError(f"tag of constant {index} was {tag}; not a class file this reader knows")
        index += 1
    return texts, names, offset


def without_requires(code: bytes, modules: tuple[str, ...]) -> bytes:
    """Return a module descriptor (bytes of module-info.class) that no longer requires `modules`.

    Raises:
        ValueError: the bytes are not a module descriptor.
    """
    texts, names, offset = _constants(code)
    offset += 6
    (interfaces,) = struct.unpack_from(">H", code, offset)
    offset += 2 + 2 * interfaces
    if code[offset : offset + 4] != b"\0\0\0\0":
        raise ValueError("class had fields or methods; a module descriptor has none")
    offset += 4
    (attributes,) = struct.unpack_from(">H", code, offset)
    offset += 2
    out = bytearray(code[:offset])
    for _ in range(attributes):
        name, length = struct.unpack_from(">HI", code, offset)
        body = code[offset + 6 : offset + 6 + length]
        offset += 6 + length
        if texts[name] == "Module":
            (count,) = struct.unpack_from(">H", body, 6)
            entries = [body[8 + 6 * k : 14 + 6 * k] for k in range(count)]
            kept = [e for e in entries if texts[names[struct.unpack_from(">H", e)[0]]] not in modules]
            body = body[:6] + struct.pack(">H", len(kept)) + b"".join(kept) + body[8 + 6 * count :]
        out += struct.pack(">HI", name, len(body)) + body
    return bytes(out)


def patch_jar(jar: Path, modules: tuple[str, ...]) -> bool:
    """Rewrite a jar so that its descriptor does not require `modules`; return whether the jar changed."""
    with zipfile.ZipFile(jar) as archive:
        before = archive.read(_DESCRIPTOR)
        after = without_requires(before, modules)
        if after == before:
            return False
        draft = jar.with_suffix(".draft")
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as copy:
            for entry in archive.infolist():
                copy.writestr(entry, after if entry.filename == _DESCRIPTOR else archive.read(entry))
    draft.chmod(0o644)
    draft.replace(jar)
    return True
