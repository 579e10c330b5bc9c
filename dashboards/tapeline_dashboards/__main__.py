"""Compiles, validates and loads the dashboards.

    python -m tapeline_dashboards check              validate all objects
    python -m tapeline_dashboards compile FILE       validate, and write them as NDJSON for a manual import
    python -m tapeline_dashboards load               validate, and import them into DASHBOARDS_KIBANA_URL

`--sources FOLDER` compiles the dashboards of another folder.
Exit code 0: success; 1: invalid source or setting; 3: Kibana refused; 4: Kibana unavailable. Wiring only.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from tapeline.service import logging as json_logging
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_dashboards import load, objects, reader, rules, semantic_rules
from tapeline_dashboards.errors import DashboardsError, RulesViolated
from tapeline_dashboards.settings import Settings

_LOG = logging.getLogger("tapeline_dashboards")


def compile_checked(folder: Path) -> list[objects.SavedObject]:
    """Compile and validate the sources in a folder.

    Raises:
        BadSource: a source cannot be read.
        RulesViolated: the objects violate a rule.
    """
    boards = reader.read_dashboards(folder)
    compiled = objects.compile_dashboards(boards)
    findings = [*rules.check(compiled), *semantic_rules.check(boards, compiled)]
    if findings:
        raise RulesViolated([str(finding) for finding in findings])
    return compiled


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and return the exit code."""
    options = _options(arguments)
    json_logging.configure("dashboards")
    try:
        _run(options)
    except DashboardsError as error:
        _LOG.error(str(error), extra={"error": type(error).__name__})
        return error.exit_code
    except (ValidationError, InvalidConnection, RenamedSetting, OSError) as error:
        _LOG.error(f"nothing was loaded: {error}", extra={"error": type(error).__name__})
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    compiled = compile_checked(options.sources)
    content = objects.ndjson(compiled)
    fields = {"objects": len(compiled), "bytes": len(content)}
    if options.command == "compile":
        options.file.parent.mkdir(parents=True, exist_ok=True)
        options.file.write_text(content, encoding="utf-8")
        _LOG.info("wrote %s", options.file, extra=fields)
    elif options.command == "load":
        settings = Settings()
        logging.getLogger().setLevel(settings.log_level)
        load.load(content, settings)
        _LOG.info("loaded into %s", settings.kibana_url, extra=fields)
    else:
        _LOG.info("all rules hold", extra=fields)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tapeline_dashboards")
    parser.add_argument("--sources", type=Path, default=reader.PACKAGE_FOLDER / "sources")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    commands.add_parser("compile").add_argument("file", type=Path)
    commands.add_parser("load")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
