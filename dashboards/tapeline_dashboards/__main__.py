"""Compiles, judges and loads the dashboards.

    python -m tapeline_dashboards check              every rule over every object
    python -m tapeline_dashboards compile FILE       the same, and write them as NDJSON for an import by hand
    python -m tapeline_dashboards load               the same, and import them into DASHBOARDS_KIBANA_URL

With `--sources FOLDER` the dashboards of another folder in place of ours.
Exit code 0: done; 1: a source or a rule; 3: Kibana refused; 4: Kibana was not there. Wiring only.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from tapeline.service import logging as json_logging
from tapeline.service.connection import InvalidConnection

from tapeline_dashboards import load, meaning, objects, reader, rules
from tapeline_dashboards.errors import DashboardsError, RulesBroken
from tapeline_dashboards.settings import Settings

_LOG = logging.getLogger("tapeline_dashboards")


def judged(folder: Path) -> list[objects.SavedObject]:
    """Return all compiled objects of the sources in a folder.

    Raises:
        BadSource: a source cannot be read.
        RulesBroken: they break a rule.
    """
    boards = reader.dashboards(folder)
    made = objects.compiled(boards)
    findings = [*rules.check(made), *meaning.check(boards, made)]
    if findings:
        raise RulesBroken([str(finding) for finding in findings])
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and return the exit code."""
    options = _options(arguments)
    json_logging.configure("dashboards")
    try:
        _run(options)
    except DashboardsError as error:
        _LOG.error(str(error), extra={"error": type(error).__name__})
        return error.exit_code
    except (ValidationError, InvalidConnection, OSError) as error:
        _LOG.error(f"nothing was loaded: {error}", extra={"error": type(error).__name__})
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    made = judged(options.sources)
    content = objects.ndjson(made)
    about = {"objects": len(made), "bytes": len(content)}
    if options.what == "compile":
        options.file.parent.mkdir(parents=True, exist_ok=True)
        options.file.write_text(content, encoding="utf-8")
        _LOG.info("wrote %s", options.file, extra=about)
    elif options.what == "load":
        settings = Settings()
        logging.getLogger().setLevel(settings.log_level)
        load.load(content, settings)
        _LOG.info("loaded into %s", settings.kibana_url, extra=about)
    else:
        _LOG.info("no rule is broken", extra=about)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tapeline_dashboards")
    parser.add_argument("--sources", type=Path, default=reader.HERE / "sources")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("check")
    commands.add_parser("compile").add_argument("file", type=Path)
    commands.add_parser("load")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
