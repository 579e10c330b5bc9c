"""Files that survive a crash, and the formats of folders."""

from pathlib import Path

import pytest
from tapeline.service.files import FORMAT_FILE, OutdatedState, atomic_replacement, require_format, write_atomically

WAY_OUT = "remove the folder"


def test_an_atomic_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and [one.name for one in tmp_path.iterdir()] == ["state"]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"


def test_an_atomic_replacement_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "t.csv"
    with atomic_replacement(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_replacement(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["t.csv"]


def test_a_new_folder_is_given_the_format_and_accepted_again(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    require_format(folder, 2, WAY_OUT)
    (folder / "data").write_bytes(b"x")
    require_format(folder, 2, WAY_OUT)
    assert (folder / FORMAT_FILE).read_text() == "2\n"


@pytest.mark.parametrize("marker", ["1\n", "3", "", "two"])
def test_another_format_is_refused_with_path_format_and_way_out(tmp_path: Path, marker: str) -> None:
    (tmp_path / FORMAT_FILE).write_text(marker)
    with pytest.raises(OutdatedState) as refused:
        require_format(tmp_path, 2, WAY_OUT)
    text = str(refused.value)
    assert "\n" not in text
    assert str(tmp_path) in text and repr(marker.strip()) in text and "format 2" in text and WAY_OUT in text


def test_state_from_before_formats_had_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "offsets").mkdir()
    with pytest.raises(OutdatedState, match="format 0"):
        require_format(tmp_path, 1, WAY_OUT)


@pytest.mark.parametrize("name", ["lost+found", f".{FORMAT_FILE}.new"])
def test_a_new_volume_and_a_first_start_that_was_cut_short_hold_no_state(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name == "lost+found" else (tmp_path / name).write_text("2")
    require_format(tmp_path, 2, WAY_OUT)
    assert (tmp_path / FORMAT_FILE).read_text() == "2\n"
