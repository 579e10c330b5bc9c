"""One training run: export, order, features, labels, split, train, evaluate, gate, bundle, promote, report.

`python -m tapeline_trainer [all|export] [--trades FILE]`. Exit code 0: a verdict was reached, whatever it
is; 3: too little data; 1: anything else. Wiring only: nothing else imports this module.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from tapeline import artefact, log
from tapeline.artefact import BundleRefused

from tapeline_trainer import bundle, dataset, export, gate, judgement, report, source
from tapeline_trainer.elastic import VERDICT_MAPPING, Store
from tapeline_trainer.errors import NoSource, TrainerError
from tapeline_trainer.gate import Verdict
from tapeline_trainer.judgement import Judgement, Learnt
from tapeline_trainer.settings import Settings
from tapeline_trainer.tape import Tape
from tapeline_trainer.training import NEUTRAL_THRESHOLD

_LOG = logging.getLogger("tapeline_trainer")
_HOUR_MS = 3_600_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and return the exit code."""
    parser = argparse.ArgumentParser(prog="tapeline_trainer", description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=("all", "export"), default="all")
    parser.add_argument("--trades", type=Path, help="Parquet or CSV file to train on instead of an export")
    options = parser.parse_args(arguments)
    log.configure("trainer")
    try:
        given = {} if options.trades is None else {"trades": options.trades}
        settings = Settings(**given)
        logging.getLogger().setLevel(settings.log_level)
        run(settings, only_export=options.what == "export")
    except TrainerError as error:
        _LOG.error(str(error), extra={"error": type(error).__name__})
        return error.exit_code
    except (ValidationError, BundleRefused, OSError) as error:
        _LOG.error(f"run failed: {error}", extra={"error": type(error).__name__})
        return 1
    return 0


def run(settings: Settings, *, only_export: bool) -> None:
    """Do every step, from the trades to the verdict."""
    started = datetime.now(tz=UTC)
    tape = _tape(settings)
    if only_export:
        _LOG.info("exported", extra={"trades": tape.table.num_rows, "output": str(settings.output)})
        return
    data = _timed("features and labels", lambda: dataset.build(tape, settings.maximum_rows))
    _LOG.info("data set", extra={"counts": data.counts})
    learnt = _timed("training", lambda: judgement.learn(data, settings))
    judged = _timed("evaluation", lambda: judgement.assess(data, learnt, settings))
    served = bundle.usable_current(settings.models)
    stays = served is not None and bundle.may_stay(settings.models, served, time.time_ns() // 1_000_000)
    verdict = gate.judge(judged.against_prior, judged.models["forest"]["auc"], stays)
    digest = _publish(settings, data, learnt, judged, verdict, served) or served
    run_id = f"{started:%Y%m%dT%H%M%S.%fZ}"
    result = report.document(run_id, data, learnt, judged, verdict, digest)
    _save(settings, result, tape.warnings, started, served)
    shown = ("digest", "promoted", "promoted_kind", "auc", "mcc", "brier", "brier_skill_vs_prior")
    also = ("brier_skill_vs_rule", "base_rate", "rows_train", "rows_test", "reasons")
    _LOG.info("verdict", extra={name: result[name] for name in (*shown, *also)})


def _timed(step: str, work: Any) -> Any:
    begun = time.monotonic()
    outcome = work()
    _LOG.info(step, extra={"seconds": round(time.monotonic() - begun, 2)})
    return outcome


def _tape(settings: Settings) -> Tape:
    if settings.trades is not None:
        return source.read(settings.trades, settings.maximum_trades)
    if settings.elasticsearch_url is None:
        raise NoSource
    parquet = settings.output / export.PARQUET_NAME
    with Store(settings.elasticsearch_url, settings) as store:
        count = _timed("export", lambda: export.to_parquet(store, parquet))
    tape = source.read(parquet, settings.maximum_trades)
    rows = export.to_csv(tape, settings.output / export.CSV_NAME)
    _LOG.info("exported files", extra={"parquet_rows": count, "csv_rows": rows})
    return tape


def _publish(
    settings: Settings,
    data: dataset.Dataset,
    learnt: Learnt,
    judged: Judgement,
    verdict: Verdict,
    served: str | None,
) -> str | None:
    """Write and promote what the verdict names; return its digest, None where nothing changes."""
    if verdict.action == "keep_current":
        return None
    forest = bundle.forest_from_sklearn(learnt.model)
    bundle.prove(forest, learnt.model, data.x[learnt.roles.test])
    kind: Literal["forest", "prior"] = "forest" if verdict.promoted else "prior"
    created = time.time_ns() // 1_000_000
    facts = bundle.Facts(
        created_at_ms=created,
        expires_at_ms=created + round(settings.expiry_hours * _HOUR_MS),
        training_from_ms=judged.facts["training_from_ms"],
        training_to_ms=judged.facts["training_to_ms"],
        training_rows=judged.facts["rows_train"],
        data_digest=data.data_digest,
        metrics={name: value for name, value in judged.models[kind].items() if value is not None},
        threshold=learnt.threshold if verdict.promoted else NEUTRAL_THRESHOLD,
        parent_digest=served,
    )
    published = forest if verdict.promoted else artefact.prior_forest(learnt.prior)
    rows = data.x[learnt.roles.test]
    return bundle.publish(settings.models, published, bundle.draft(kind, facts), rows)


def _save(
    settings: Settings,
    result: dict[str, Any],
    warnings: tuple[str, ...],
    started: datetime,
    served: str | None,
) -> None:
    """Write the report and the verdict, and store the verdict where an Elasticsearch is known."""
    flat = {**result, **result["facts"], "parent_digest": served}
    verdict = {name: flat[name] for name in VERDICT_MAPPING["properties"] if name != "@timestamp"}
    verdict["@timestamp"] = int(started.timestamp() * 1000)
    texts = {
        "report.md": report.page(result, warnings),
        "report.json": json.dumps(result | {"warnings": warnings}, indent=2, allow_nan=False),
        "verdict.json": json.dumps(verdict, indent=2, allow_nan=False),
    }
    for name, text in texts.items():
        with export.replacing(settings.output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if settings.elasticsearch_url is not None:
        with Store(settings.elasticsearch_url, settings) as store:
            store.save_verdict(result["run_id"], verdict)


if __name__ == "__main__":
    sys.exit(main())
