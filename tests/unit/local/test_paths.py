from pathlib import Path

from tapeline_local import paths


def test_a_folder_below_a_closed_one_is_out_of_reach(tmp_path):
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert not paths.is_reachable(inner)


def test_the_root_folder_is_in_reach():
    assert paths.is_reachable(Path("/"))


def test_without_root_nothing_moves(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "needs_unprivileged_user", lambda: False)
    tmp_path.chmod(0o700)
    assert paths.open_folder(tmp_path / "x") == tmp_path / "x"


def test_for_root_a_closed_folder_moves_to_a_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "needs_unprivileged_user", lambda: True)
    tmp_path.chmod(0o700)
    moved = {paths.open_folder(tmp_path / name) for name in ("x", "y")}
    assert len(moved) == 2
    assert all(folder.is_relative_to("/var/tmp") for folder in moved)
