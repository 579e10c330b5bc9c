"""One thing has one name: the words of tests/vocabulary.toml are not used any more."""

import ast
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = ROOT / "tests" / "vocabulary.toml"
READ = (".py", ".ts", ".html", ".css", ".yaml", ".yml", ".tpl", ".toml", ".md", ".sh", ".awk", ".json", ".txt")
# Written by others, or records of their day.
NOT_READ = ("*package-lock.json", "uv.lock", "docs/decisions/000?-*", "docs/decisions/001[0-4]-*", "*/static/*")
RULES = tomllib.loads(VOCABULARY.read_text())
RETIRED = {word: rule for rule in RULES["retired"] for word in rule["words"]}
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(text: str) -> set[str]:
    """Return the words of a text in lower case; CamelCase, snake_case and kebab-case are taken apart."""
    return {piece.lower() for piece in _PIECE.findall(text)}


@cache
def files() -> tuple[Path, ...]:
    """Return the files of this checkout that people read."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    read = [name for name in found if name.endswith(READ) or name in ("Makefile",) or name.endswith("Dockerfile")]
    wanted = [name for name in read if not any(fnmatch(name, pattern) for pattern in NOT_READ)]
    return tuple(ROOT / name for name in wanted if (ROOT / name).is_file())


def retired_words(name: str, text: str) -> dict[str, str]:
    """Return the retired words of a file's text and path that are not allowed there, and what to say instead."""
    found = words_of(text) | words_of(name)
    own = {"tests/vocabulary.toml", "tests/unit/test_vocabulary.py", "CHANGELOG.md"}
    if name in own:
        return {}
    return {
        word: rule["instead"]
        for word, rule in RETIRED.items()
        if word in found and not any(fnmatch(name, pattern) for pattern in rule.get("allowed", ()))
    }


def bare_verbs(source: str) -> list[str]:
    """Return the functions of Python source that are named by a verb alone."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        f"{n.name}, line {n.lineno}" for n in ast.walk(ast.parse(source)) if isinstance(n, kinds) and n.name in VERBS
    ]


VERBS = frozenset(RULES["functions"])


def test_no_retired_word_is_used() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files()}
    found = {name: words for name, text in texts.items() if (words := retired_words(name, text))}
    lines = [f"{name}: {word!r}: say {instead}" for name, words in found.items() for word, instead in words.items()]
    assert texts and not lines, "\n".join(lines)


def test_no_function_is_a_verb_without_its_noun() -> None:
    modules = [path for path in files() if path.suffix == ".py"]
    found = {path: verbs for path in modules if (verbs := bare_verbs(path.read_text(encoding="utf-8")))}
    assert modules and not found


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("services/producer/x.py", "class Witness:\n    pass\n", "witness"),
        ("services/producer/x.py", "expect_testimony = 1", "testimony"),
        ("dashboards/x/sources/model.yaml", "title: Share of minutes whose books balance", "books"),
        ("charts/apps/values.yaml", "topicHoles: trade-holes", "holes"),
        ("services/board/web/src/toldTypes.ts", "export {}", "told"),
        ("spark-apps/x.py", 'Gauge("tapeline_stream_books_minutes", "Minutes")', "books"),
    ],
)
def test_a_planted_word_is_found(name: str, text: str, word: str) -> None:
    assert set(retired_words(name, text)) == {word}


def test_a_planted_verb_is_found() -> None:
    assert bare_verbs("class A:\n    async def settle(self): ...\n") == ["settle, line 2"]
    assert bare_verbs("def settle_minutes(): ...\n") == []


def test_every_exception_names_a_file_that_is_there() -> None:
    names = [str(path.relative_to(ROOT)) for path in files()]
    patterns = {pattern for rule in RULES["retired"] for pattern in rule.get("allowed", ())}
    assert not [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in names)]
