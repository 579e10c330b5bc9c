import gzip
import hashlib
import io
import random
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from tapeline.model import bundle, oci_layer
from tapeline.model.bundle import BundleRefused

from unit.tapeline import models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.bundle(tmp_path / "models")
    return tmp_path / "models"


def packed(folder: Path, digest: str) -> bytes:
    return oci_layer.wrap(oci_layer.pack(folder, digest))


def unpacked(tar: bytes, target: Path) -> str:
    return oci_layer.unpack(oci_layer.wrap(tar), target)


def tar_of(*members: tuple[str, bytes | None, dict[str, object]]) -> bytes:
    """A tar of any members: name, content (None is none), and fields of the header."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content, fields in members:
            member = tarfile.TarInfo(name)
            member.size = len(content or b"")
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(content or b""))
    return written.getvalue()


def members_of(content: bytes) -> list[tuple[str, bytes | None, dict[str, object]]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [(m.name, file.read() if (file := archive.extractfile(m)) else None, {"type": m.type}) for m in archive]


def test_layer_of_the_same_bundle_is_the_same_bytes_in_any_folder_at_any_time(tmp_path: Path, folder: Path) -> None:
    again = tmp_path / "elsewhere"
    digest = models.bundle(again)
    for path in again.rglob("*"):
        path.chmod(0o700)
    content = oci_layer.pack(again, digest)
    assert content == oci_layer.pack(folder, digest)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        headers = {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in archive}
        assert {(m.name, oct(m.mode)) for m in archive} == {
            (digest, "0o755"),
            *((f"{digest}/{name}", "0o644") for name in ("forest.npz", "golden.npz", "manifest.json")),
            ("current", "0o644"),
        }
    assert headers == {(0, 0, "", "", 0)}


def test_unpacked_layer_is_the_folder_that_was_packed(tmp_path: Path, folder: Path) -> None:
    digest = bundle.current(folder)
    assert oci_layer.unpack(packed(folder, digest), tmp_path / "back") == digest
    assert bundle.current(tmp_path / "back") == digest
    assert {p.name: p.read_bytes() for p in (tmp_path / "back" / digest).iterdir()} == {
        p.name: p.read_bytes() for p in (folder / digest).iterdir()
    }


def test_unpacking_twice_and_over_another_model_leaves_both_and_serves_the_last(tmp_path: Path, folder: Path) -> None:
    digest, target = bundle.current(folder), tmp_path / "back"
    other = models.bundle(target, probability=0.25)
    for _ in range(2):
        oci_layer.unpack(packed(folder, digest), target)
    assert bundle.current(target) == digest
    assert bundle.read(target, other).forest.probability.tolist() == [0.25]


STRANGE = {
    "a path upwards": ("../evil", b"x", {}),
    "an absolute path": ("/etc/evil", b"x", {}),
    "a path upwards inside": ("{digest}/../evil", b"x", {}),
    "a link to a file": ("{digest}/link", None, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
    "the pointer as a link": ("current", None, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
    "a model as a hard link": ("{digest}/forest.npz", None, {"type": tarfile.LNKTYPE, "linkname": "current"}),
    "a device": ("{digest}/forest.npz", None, {"type": tarfile.CHRTYPE}),
    "a pipe": ("current", None, {"type": tarfile.FIFOTYPE}),
    "a folder of another name": ("models", None, {"type": tarfile.DIRTYPE}),
    "a folder named like a file": ("current", None, {"type": tarfile.DIRTYPE}),
    "a file beside": ("README", b"x", {}),
    "a file too many in the bundle": ("{digest}/run.sh", b"x", {}),
    "a sparse file": ("{digest}/golden.npz", b"x", {"pax_headers": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "99"}}),
    "a long pointer": ("current", b"x" * 200, {}),
}


@pytest.mark.parametrize("name", STRANGE)
def test_layer_with_anything_else_in_it_is_refused_and_nothing_is_written(tmp_path: Path, folder: Path, name) -> None:
    digest = bundle.current(folder)
    member, content, fields = STRANGE[name]
    member = member.format(digest=digest)
    usual = members_of(oci_layer.pack(folder, digest))
    kept = [m for m in usual if m[0] != member]
    target = tmp_path / "target"
    with pytest.raises(BundleRefused):
        unpacked(tar_of(*kept, (member, content, fields)), target)
    assert not target.exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("twice", ["current", "manifest.json", "forest.npz"])
def test_layer_that_says_a_thing_twice_is_refused(tmp_path: Path, folder: Path, twice: str) -> None:
    """Readers differ in which of the two they take."""
    usual = members_of(oci_layer.pack(folder, bundle.current(folder)))
    with pytest.raises(BundleRefused, match="once"):
        unpacked(tar_of(*usual, *(m for m in usual if m[0].endswith(twice))), tmp_path / "target")


@pytest.mark.parametrize("missing", ["current", "manifest.json", "forest.npz", "golden.npz"])
def test_layer_without_a_part_is_refused(tmp_path: Path, folder: Path, missing: str) -> None:
    usual = members_of(oci_layer.pack(folder, bundle.current(folder)))
    with pytest.raises(BundleRefused, match="one whole bundle"):
        unpacked(tar_of(*(m for m in usual if not m[0].endswith(missing))), tmp_path / "target")


def test_layer_whose_pointer_names_another_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    usual = members_of(oci_layer.pack(folder, bundle.current(folder)))
    changed = [(n, b"a" * 64 if n == "current" else c, f) for n, c, f in usual]
    with pytest.raises(BundleRefused, match="named by current"):
        unpacked(tar_of(*changed), tmp_path / "target")


def test_layer_whose_manifest_is_not_its_folders_is_refused(tmp_path: Path, folder: Path) -> None:
    digest = bundle.current(folder)
    usual = members_of(oci_layer.pack(folder, digest))
    changed = [(n, c + b" " if n.endswith("manifest.json") else c, f) for n, c, f in usual]
    with pytest.raises(BundleRefused, match=r"sha256 of manifest\.json"):
        unpacked(tar_of(*changed), tmp_path / "target")


def test_layer_whose_golden_rows_fail_is_not_promoted(tmp_path: Path, folder: Path) -> None:
    digest = bundle.current(folder)
    usual = members_of(oci_layer.pack(folder, digest))
    changed = [(n, c[:-1] + b"?" if n.endswith("golden.npz") else c, f) for n, c, f in usual]
    with pytest.raises(BundleRefused):
        unpacked(tar_of(*changed), tmp_path / "target")
    assert bundle.current(tmp_path / "target") is None


def test_damaged_layers_are_refused_or_unpack_to_the_same_model(tmp_path: Path, folder: Path) -> None:
    digest = bundle.current(folder)
    good = packed(folder, digest)
    draw = random.Random(5)
    refused = 0
    for number in range(300):
        # Half of them damaged inside a sound envelope, as its sender could.
        bad = bytearray(good if number % 2 else oci_layer.pack(folder, digest))
        if number % 3 == 0:
            bad = bad[: draw.randrange(len(bad))]
        for _ in range(draw.randrange(1, 4)):
            if bad:
                bad[draw.randrange(len(bad))] = draw.randrange(256)
        if not number % 2:
            bad = bytearray(oci_layer.wrap(bytes(bad)))
        target = tmp_path / str(number)
        try:
            assert oci_layer.unpack(bytes(bad), target) == digest
            found = b"".join((target / digest / n).read_bytes() for n in ("forest.npz", "golden.npz", "manifest.json"))
            expected = b"".join(
                (folder / digest / n).read_bytes() for n in ("forest.npz", "golden.npz", "manifest.json")
            )
            assert hashlib.sha256(found).digest() == hashlib.sha256(expected).digest()
        except BundleRefused:
            refused += 1
    assert refused > 100


def test_endless_chain_of_extended_headers_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 0
    with pytest.raises(BundleRefused, match="unreadable"):
        unpacked(header.tobuf(tarfile.USTAR_FORMAT) * 5_000, tmp_path)


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 200_000])
def test_envelope_is_a_gzip_file_that_any_reader_opens(size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert gzip.decompress(oci_layer.wrap(content)) == content
    assert (
        subprocess.run(["gzip", "-dc"], input=oci_layer.wrap(content), capture_output=True, check=True).stdout
        == content
    )


def test_layer_that_unfolds_beyond_the_limit_is_refused_without_unfolding_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(oci_layer, "SIZE_MAX", 100_000)
    bomb = gzip.compress(bytes(10**8))
    tracemalloc.start()
    with pytest.raises(BundleRefused, match="100001 bytes and more"):
        oci_layer.unpack(bomb, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_anything_behind_the_envelope_is_refused(tmp_path: Path, folder: Path) -> None:
    good = packed(folder, bundle.current(folder))
    for bad in (good + b"x", good + gzip.compress(b""), good[:-1], b"", b"plain"):
        with pytest.raises(BundleRefused, match="gzip"):
            oci_layer.unpack(bad, tmp_path / "target")
