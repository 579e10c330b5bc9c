"""Runs the trainer: export, features, labels, split, training, evaluation, promotion gate, bundle, roll-out, report.

    python -m tapeline_trainer [all] [--trades FILE]                 the whole run
    python -m tapeline_trainer export                                the files only
    python -m tapeline_trainer bootstrap-model [--probability P]     push a constant model, print its reference
    python -m tapeline_trainer rollout-only --models DIR             roll out the current bundle of a folder

Exit code 0: the gate reached a verdict, whatever it is; 3: too little data; 4: the roll-out of the verdict failed;
143: SIGTERM; 1: anything else. Wiring only: nothing else imports this module.
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
from tapeline.service import files
from tapeline.service import logging as json_logging
from tapeline.service.clock import now_ms
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RenamedSetting

from tapeline_trainer.data import dataset, export, source
from tapeline_trainer.data.trade_table import TradeTable
from tapeline_trainer.errors import NoCurrentModel, NoTradeSource, RolloutIncomplete, TrainerError
from tapeline_trainer.model import bundle, evaluation, gate, report
from tapeline_trainer.model.evaluation import Evaluation, TrainedModel
from tapeline_trainer.model.gate import PromotionDecision
from tapeline_trainer.model.training import NEUTRAL_THRESHOLD
from tapeline_trainer.rollout import bootstrap_model, target
from tapeline_trainer.rollout.target import RolloutOutcome
from tapeline_trainer.settings import Settings

_LOG = logging.getLogger("tapeline_trainer")
_HOUR_MS = 3_600_000
_NOT_PROMOTED: Final = RolloutOutcome("not_attempted", "the gate promoted no model", is_served=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and return the exit code."""
    options = _options(arguments)
    # Without a handler, SIGTERM does not end the first process of a container.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if options.command != "bootstrap-model":
        # bootstrap-model prints only a reference on standard output.
        json_logging.configure("trainer")
    try:
        overrides = {name: value for name in ("trades", "models") if (value := getattr(options, name)) is not None}
        settings = Settings(**overrides)
        logging.getLogger().setLevel(settings.log_level)
        _COMMANDS[options.command](settings, options)
    except TrainerError as error:
        _LOG.error(str(error), extra={"error": type(error).__name__})
        return error.exit_code
    except (ValidationError, InvalidConnection, RenamedSetting, BundleRefused, OSError) as error:
        _LOG.error(f"run failed: {error}", extra={"error": type(error).__name__})
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tapeline_trainer", description=__doc__.partition("\n")[0])
    parser.add_argument("command", nargs="?", choices=tuple(_COMMANDS), default="all")
    parser.add_argument("--trades", type=Path, help="Parquet or CSV file to train on instead of an export")
    parser.add_argument("--models", type=Path, help="folder of model bundles instead of TRAINER_MODELS")
    parser.add_argument("--probability", type=float, default=0.5, help="what the bootstrap model always predicts")
    return parser.parse_args(arguments)


def _bootstrap_model(settings: Settings, options: argparse.Namespace) -> None:
    sys.stdout.write(f"{bootstrap_model.push(settings, options.probability)}\n")


def _export(settings: Settings, _: argparse.Namespace) -> None:
    trades = _read_trades(settings)
    _LOG.info("exported", extra={"trades": trades.table.num_rows, "output": str(settings.output)})


def _rollout_only(settings: Settings, _: argparse.Namespace) -> None:
    digest = model_bundle.current(settings.models)
    if digest is None:
        raise NoCurrentModel(settings.models)
    with target.open_kubernetes_target(settings) as serving:
        serving.find_served_image()
        outcome = serving.deploy(settings.models, digest)
    shown = {"rollout": outcome.rollout, "reason": outcome.reason, "seconds": outcome.seconds}
    _LOG.info("roll-out", extra={**shown, "digest": digest, "reference": str(outcome.reference)})
    if not outcome.is_served:
        raise RolloutIncomplete(outcome.rollout, outcome.reason)


def _run(settings: Settings, _: argparse.Namespace) -> None:
    started = datetime.now(tz=UTC)
    with target.open_target(settings) as serving:
        served = serving.served_digest()
        trades = _read_trades(settings)
        data = _timed("features and labels", lambda: dataset.build(trades, settings.maximum_rows))
        _LOG.info("data set", extra={"counts": data.counts})
        trained = _timed("training", lambda: evaluation.train(data, settings))
        evaluated = _timed("evaluation", lambda: evaluation.evaluate(data, trained, settings))
        may_stay = served is not None and bundle.may_stay(settings.models, served, now_ms())
        decision = gate.decide(evaluated.brier_minus_prior, evaluated.models["forest"]["auc"], may_stay)
        digest = _write_bundle(settings, data, trained, evaluated, decision, served)
        outcome = _NOT_PROMOTED if digest is None else serving.deploy(settings.models, digest)
    is_failed = digest is not None and not outcome.is_served
    final = gate.withdraw(decision, outcome.reason) if is_failed else decision
    served_now = digest if outcome.is_served else served
    run_id = f"{started:%Y%m%dT%H%M%S.%fZ}"
    result = report.build_document(run_id, data, trained, evaluated, final, served_now, outcome)
    _save(settings, result, trades.warnings, started, served)
    shown = ("digest", "promoted", "promoted_kind", "auc", "mcc", "brier", "brier_skill_vs_prior", "rollout")
    also = ("brier_skill_vs_rule", "base_rate", "rows_train", "rows_test", "reasons", "image_reference")
    _LOG.info("verdict", extra={name: result[name] for name in (*shown, *also)})
    if is_failed:
        raise RolloutIncomplete(outcome.rollout, outcome.reason)


_COMMANDS: Final = {
    "all": _run,
    "export": _export,
    "bootstrap-model": _bootstrap_model,
    "rollout-only": _rollout_only,
}


def _timed(step: str, work: Any) -> Any:
    started = time.monotonic()
    result = work()
    _LOG.info(step, extra={"seconds": round(time.monotonic() - started, 2)})
    return result


def _read_trades(settings: Settings) -> TradeTable:
    if settings.trades is not None:
        return source.read(settings.trades, settings.maximum_trades)
    if settings.elasticsearch_url is None:
        raise NoTradeSource
    # The Elasticsearch client takes most of a second to import, and a run on a file does not need it.
    from tapeline_trainer.data.elasticsearch import Store

    parquet = settings.output / export.PARQUET_NAME
    with Store(settings.elasticsearch_url, settings) as store:
        count = _timed("export", lambda: export.to_parquet(store, parquet))
    trades = source.read(parquet, settings.maximum_trades)
    rows = export.to_csv(trades, settings.output / export.CSV_NAME)
    _LOG.info("exported files", extra={"parquet_rows": count, "csv_rows": rows})
    return trades


def _write_bundle(
    settings: Settings,
    data: dataset.Dataset,
    trained: TrainedModel,
    evaluated: Evaluation,
    decision: PromotionDecision,
    served: str | None,
) -> str | None:
    """Write the bundle that the gate promoted. Return its digest, None where the current model stays."""
    if decision.action == "keep_current":
        return None
    forest = bundle.forest_from_sklearn(trained.model)
    rows = data.x[trained.split.test]
    bundle.verify(forest, trained.model, rows)
    kind: Literal["forest", "prior"] = "forest" if decision.promoted else "prior"
    created = now_ms()
    metadata = bundle.TrainingMetadata(
        created_at_ms=created,
        expires_at_ms=created + round(settings.expiry_hours * _HOUR_MS),
        training_from_ms=evaluated.facts["training_from_ms"],
        training_to_ms=evaluated.facts["training_to_ms"],
        training_rows=evaluated.facts["rows_train"],
        data_digest=data.data_digest,
        metrics={name: value for name, value in evaluated.models[kind].items() if value is not None},
        threshold=trained.threshold if decision.promoted else NEUTRAL_THRESHOLD,
        parent_digest=served,
    )
    promoted = forest if decision.promoted else model_bundle.prior_forest(trained.prior)
    return bundle.write(settings.models, promoted, bundle.draft_manifest(kind, metadata), rows)


def _save(
    settings: Settings,
    result: dict[str, Any],
    warnings: tuple[str, ...],
    started: datetime,
    served: str | None,
) -> None:
    """Write the report and the verdict, and index the verdict where Elasticsearch is configured."""
    from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING, Store

    flat = {**result, **result["facts"], "parent_digest": served}
    verdict = {name: flat[name] for name in VERDICT_MAPPING["properties"] if name != "@timestamp"}
    verdict["@timestamp"] = int(started.timestamp() * 1000)
    texts = {
        "report.md": report.render_markdown(result, warnings),
        "report.json": json.dumps(result | {"warnings": warnings}, indent=2, allow_nan=False),
        "verdict.json": json.dumps(verdict, indent=2, allow_nan=False),
    }
    settings.output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        files.write_atomically(settings.output / name, text.encode())
    if settings.elasticsearch_url is not None:
        with Store(settings.elasticsearch_url, settings) as store:
            store.save_verdict(result["run_id"], verdict)


if __name__ == "__main__":
    sys.exit(main())
