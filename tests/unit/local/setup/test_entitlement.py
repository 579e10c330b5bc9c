import struct
import zipfile

import pytest
from tapeline_local.setup import entitlement


def utf8(text: str) -> bytes:
    return b"\x01" + struct.pack(">H", len(text)) + text.encode()


def descriptor(*requires: str) -> bytes:
    """A module-info.class that requires these, laid out by hand after chapter 4 of the JVM specification."""
    pool = [
        utf8("Module"),
        utf8("m"),
        b"\x13" + struct.pack(">H", 2),
        utf8("module-info"),
        b"\x07" + struct.pack(">H", 4),
    ]
    indices = []
    for name in requires:
        pool += [utf8(name), b"\x13" + struct.pack(">H", len(pool) + 1)]
        indices.append(len(pool))
    entries = b"".join(struct.pack(">HHH", index, 0, 0) for index in indices)
    body = struct.pack(">HHHH", 3, 0, 0, len(indices)) + entries + struct.pack(">HHHH", 0, 0, 0, 0)
    head = b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, 65, len(pool) + 1) + b"".join(pool)
    return head + struct.pack(">HHHHHHH", 0x8000, 5, 0, 0, 0, 0, 1) + struct.pack(">HI", 1, len(body)) + body


def required(code: bytes) -> bytes:
    """The entries of the requires table, straight from the end of the class."""
    return code[code.rindex(struct.pack(">HHH", 3, 0, 0)) + 6 : -8]


def test_named_modules_are_no_longer_required():
    before = descriptor("java.base", "jdk.jdi", "java.logging", "jdk.jlink")
    after = entitlement.without_requires(before, ("jdk.jdi", "jdk.jlink"))
    old = required(before)
    assert required(after) == struct.pack(">H", 2) + old[2:8] + old[14:20]


def test_a_descriptor_without_them_stays_byte_for_byte():
    code = descriptor("java.base")
    assert entitlement.without_requires(code, ("jdk.jdi",)) == code


def test_an_unknown_constant_is_refused():
    with pytest.raises(ValueError, match="tag of constant 1 was 99"):
        entitlement.without_requires(b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, 65, 2) + b"\x63\0\0", ())


def test_a_jar_is_rewritten_once_and_keeps_its_other_files(tmp_path):
    jar = tmp_path / "x.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("module-info.class", descriptor("java.base", "jdk.jdi"))
        archive.writestr("a/B.class", b"untouched")
    assert entitlement.patch_jar(jar, ("jdk.jdi",))
    assert not entitlement.patch_jar(jar, ("jdk.jdi",))
    with zipfile.ZipFile(jar) as archive:
        assert archive.read("a/B.class") == b"untouched"
