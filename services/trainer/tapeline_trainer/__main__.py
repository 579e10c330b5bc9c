"""One training run: export, order, features, labels, split, train, evaluate, gate, bundle, roll-out, report.

    python -m tapeline_trainer [all] [--trades FILE]      the whole run
    python -m tapeline_trainer export                     the files only
    python -m tapeline_trainer seed [--probability P]     push a constant model, print its reference
    python -m tapeline_trainer rollout-only --models DIR  roll out the current bundle of a folder

Exit code 0: a verdict was reached, whatever it is; 3: too little data; 4: a verdict that could not be carried
out; 143: told to end (SIGTERM); 1: anything else. Wiring only: nothing else imports this module.
"""

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError
from tapeline.model import bundle as model_bundle
from tapeline.model.bundle import BundleRefused
from tapeline.service import logging as json_logging
from tapeline.service.connection import InvalidConnection

from tapeline_trainer.data import dataset, export, source
from tapeline_trainer.data.trade_table import Tape
from tapeline_trainer.errors import NoSource, NothingToRollOut, RolloutIncomplete, TrainerError
from tapeline_trainer.model import bundle, evaluation, gate, report
from tapeline_trainer.model.evaluation import Judgement, Learnt
from tapeline_trainer.model.gate import Verdict
from tapeline_trainer.model.training import NEUTRAL_THRESHOLD
from tapeline_trainer.rollout import bootstrap_model, target
from tapeline_trainer.rollout.target import Outcome
from tapeline_trainer.settings import Settings

_LOG = logging.getLogger("tapeline_trainer")
_HOUR_MS = 3_600_000
_KEPT: Final = Outcome("not_attempted", "the gate named nothing to be served", is_served=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and return the exit code."""
    options = _options(arguments)
    # The first process of a container dies of no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if options.what != "seed":
        # A seed's only word on standard output is its reference.
        json_logging.configure("trainer")
    try:
        given = {name: value for name in ("trades", "models") if (value := getattr(options, name)) is not None}
        settings = Settings(**given)
        logging.getLogger().setLevel(settings.log_level)
        _COMMANDS[options.what](settings, options)
    except TrainerError as error:
        _LOG.error(str(error), extra={"error": type(error).__name__})
        return error.exit_code
    except (ValidationError, InvalidConnection, BundleRefused, OSError) as error:
        _LOG.error(f"run failed: {error}", extra={"error": type(error).__name__})
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tapeline_trainer", description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=tuple(_COMMANDS), default="all")
    parser.add_argument("--trades", type=Path, help="Parquet or CSV file to train on instead of an export")
    parser.add_argument("--models", type=Path, help="folder of model bundles instead of TRAINER_MODELS")
    parser.add_argument("--probability", type=float, default=0.5, help="the seed's one answer")
    return parser.parse_args(arguments)


def _seed(settings: Settings, options: argparse.Namespace) -> None:
    sys.stdout.write(f"{bootstrap_model.push(settings, options.probability)}\n")


def _export(settings: Settings, _: argparse.Namespace) -> None:
    tape = _tape(settings)
    _LOG.info("exported", extra={"trades": tape.table.num_rows, "output": str(settings.output)})


def _rollout_only(settings: Settings, _: argparse.Namespace) -> None:
    digest = model_bundle.current(settings.models)
    if digest is None:
        raise NothingToRollOut(settings.models)
    with target.fleet(settings) as fleet:
        fleet.find()
        outcome = fleet.serve(settings.models, digest)
    shown = {"rollout": outcome.rollout, "reason": outcome.reason, "seconds": outcome.seconds}
    _LOG.info("roll-out", extra={**shown, "digest": digest, "reference": str(outcome.reference)})
    if not outcome.is_served:
        raise RolloutIncomplete(outcome.rollout, outcome.reason)


def _all(settings: Settings, _: argparse.Namespace) -> None:
    started = datetime.now(tz=UTC)
    with target.home(settings) as home:
        served = home.served()
        tape = _tape(settings)
        data = _timed("features and labels", lambda: dataset.build(tape, settings.maximum_rows))
        _LOG.info("data set", extra={"counts": data.counts})
        learnt = _timed("training", lambda: evaluation.learn(data, settings))
        judged = _timed("evaluation", lambda: evaluation.assess(data, learnt, settings))
        stays = served is not None and bundle.may_stay(settings.models, served, time.time_ns() // 1_000_000)
        wanted = gate.judge(judged.against_prior, judged.models["forest"]["auc"], stays)
        digest = _write(settings, data, learnt, judged, wanted, served)
        outcome = _KEPT if digest is None else home.serve(settings.models, digest)
    verdict = wanted if digest is None or outcome.is_served else gate.withdrawn(wanted, outcome.reason)
    now = digest if outcome.is_served else served
    result = report.document(f"{started:%Y%m%dT%H%M%S.%fZ}", data, learnt, judged, verdict, now, outcome)
    _save(settings, result, tape.warnings, started, served)
    shown = ("digest", "promoted", "promoted_kind", "auc", "mcc", "brier", "brier_skill_vs_prior", "rollout")
    also = ("brier_skill_vs_rule", "base_rate", "rows_train", "rows_test", "reasons", "image_reference")
    _LOG.info("verdict", extra={name: result[name] for name in (*shown, *also)})
    if verdict is not wanted:
        raise RolloutIncomplete(outcome.rollout, outcome.reason)


_COMMANDS: Final = {"all": _all, "export": _export, "seed": _seed, "rollout-only": _rollout_only}


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
    # The client of Elasticsearch takes most of a second to import, which a run on a file does not need.
    from tapeline_trainer.data.elasticsearch import Store

    parquet = settings.output / export.PARQUET_NAME
    with Store(settings.elasticsearch_url, settings) as store:
        count = _timed("export", lambda: export.to_parquet(store, parquet))
    tape = source.read(parquet, settings.maximum_trades)
    rows = export.to_csv(tape, settings.output / export.CSV_NAME)
    _LOG.info("exported files", extra={"parquet_rows": count, "csv_rows": rows})
    return tape


def _write(
    settings: Settings,
    data: dataset.Dataset,
    learnt: Learnt,
    judged: Judgement,
    verdict: Verdict,
    served: str | None,
) -> str | None:
    """Write the bundle that the verdict names; return its digest, None where nothing is to change."""
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
    published = forest if verdict.promoted else model_bundle.prior_forest(learnt.prior)
    rows = data.x[learnt.roles.test]
    return bundle.write(settings.models, published, bundle.draft(kind, facts), rows)


def _save(
    settings: Settings,
    result: dict[str, Any],
    warnings: tuple[str, ...],
    started: datetime,
    served: str | None,
) -> None:
    """Write the report and the verdict, and store the verdict where an Elasticsearch is known."""
    from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING, Store

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
