"""The program writes or sends nothing that violates a rule."""

import json
import shutil
from pathlib import Path

import pytest
from tapeline_dashboards import __main__, reader
from tapeline_dashboards.errors import RulesViolated

from unit.dashboards import factories


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Our sources, with one wrong field."""
    folder = shutil.copytree(reader.PACKAGE_FOLDER / "sources", tmp_path / "sources")
    path = folder / "market.yaml"
    path.write_text(path.read_text().replace("median: price}", "median: prize}", 1))
    return folder


def test_check_and_compile(tmp_path):
    assert __main__.main(["check"]) == 0
    path = tmp_path / "new" / "all.ndjson"
    assert __main__.main(["compile", str(path)]) == 0
    assert [json.loads(line) for line in path.read_text().splitlines()] == factories.compiled()


def test_invalid_sources_are_neither_written_nor_sent(tmp_path, broken, capsys):
    with pytest.raises(RulesViolated, match="trades has no prize"):
        __main__.compile_checked(broken)
    path = tmp_path / "all.ndjson"
    assert __main__.main(["--sources", str(broken), "compile", str(path)]) == 1
    assert __main__.main(["--sources", str(broken), "load"]) == 1
    assert not path.exists()
    assert "trades has no prize" in capsys.readouterr().out
