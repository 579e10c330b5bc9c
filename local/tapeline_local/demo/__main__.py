"""`make demo`: runs the whole stack, shows live statistics, trains once, and reconciles at the end."""

import json
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from types import FrameType

import httpx
from rich.console import Console
from rich.live import Live
from tapeline.enums import PredictionState
from tapeline.service.files import OutdatedState

from tapeline_local import paths, poll
from tapeline_local.demo import readers
from tapeline_local.demo import report as demo_report
from tapeline_local.demo.delay import DelayMeter
from tapeline_local.demo.reconcile import reconcile
from tapeline_local.demo.settings import DemoSettings
from tapeline_local.demo.stats import StatsCollector, StatsSnapshot
from tapeline_local.demo.terminal import Terminal
from tapeline_local.demo.trainer_run import TrainerRun
from tapeline_local.errors import SettingsRefused, StackError
from tapeline_local.settings import load
from tapeline_local.stack.options import PARTS
from tapeline_local.stack.stack import Stack

_COLLECT_INTERVAL_S = 1.0
_LINE_INTERVAL_S = 5.0
_EXCHANGE_UNREACHABLE = _SETTINGS_REFUSED = _STATE_REFUSED = 2


class Demo:
    """One run of the demo on one state folder."""

    def __init__(self, settings: DemoSettings, console: Console) -> None:
        """Describe the stack; nothing is started."""
        self._settings, self._console = settings, console
        self._stack = Stack(paths.STATES / settings.name, PARTS, settings.options())
        self._received_file = self._stack.state.root / "received.json"
        source = "Bybit" if settings.exchange == "bybit" else settings.capture or "a synthetic market"
        self._terminal = Terminal(f"Tapeline: {source}")
        self._rss_mib: dict[str, int] = {}

    def run(self) -> int:
        """Start the stack, show it, reconcile, stop the stack; return the exit code.

        Raises:
            StackInUse: a stack runs on this state folder; that stack keeps running.
            OutdatedState: the state folder has another format.
        """
        started = time.monotonic()
        self._stack.up(self._console.print)
        try:
            return self._run_started(time.monotonic() - started)
        finally:
            self._console.print("stopping")
            self._stack.down(self._console.print)

    def _run_started(self, ready_s: float) -> int:
        # A demo lasts minutes; the board's default of one hour would be mostly empty.
        board = f"{self._stack.addresses.board}/?span=15m"
        self._console.print(f"ready after {ready_s:.1f} s; the board: {board}")
        self._terminal.title += f"   board: {board}"
        simulated = self._settings.exchange == "simulator"
        collector = StatsCollector(self._stack.addresses, self._received_before(), simulated)
        trainer = TrainerRun(self._stack.state.root, self._stack.addresses.elasticsearch, self._settings.train_after)
        meter = DelayMeter(collector.elastic, "received_at" if self._settings.capture else "traded_at")
        started = time.monotonic()
        try:
            try:
                self._show(collector, trainer, meter)
            except KeyboardInterrupt:
                self._console.print("stopping; press Ctrl-C again to stop at once")
            trainer.stop()
            shown_s = time.monotonic() - started
            return self._finish(collector, meter, {"ready_s": round(ready_s, 1), "shown_s": round(shown_s, 1)})
        finally:
            trainer.stop()
            collector.close()

    def _show(self, collector: StatsCollector, trainer: TrainerRun, meter: DelayMeter) -> None:
        is_terminal = self._console.is_terminal
        started = last_line = time.monotonic()
        live = Live(console=self._console, auto_refresh=False) if is_terminal else nullcontext()
        with live as view:
            stats = collector.collect()
            while not self._is_over(started, stats):
                stats = collector.collect()
                self._log_event(trainer.advance(stats.indexed))
                for event in self._stack.new_events():
                    if event.kind in ("died", "gave up"):
                        self._log_event(f"{event.part} {event.kind}: {event.detail}")
                        self._print_plain(self._stack.log_tail(event.part, 8))
                if trainer.report:
                    self._terminal.scores = _scores(trainer.report)
                now, p50, p99 = time.monotonic(), meter.percentile_ms(0.5), meter.percentile_ms(0.99)
                if isinstance(view, Live):
                    view.update(self._terminal.render(now, stats, p50, p99), refresh=True)
                elif now - last_line >= _LINE_INTERVAL_S:
                    last_line = now
                    self._print_plain(self._terminal.summary_line(now, stats, p50, p99))
                if self._is_replay_finished(stats) and not self._settings.demo_seconds:
                    return
                self._poll_delays(meter)

    def _poll_delays(self, meter: DelayMeter) -> None:
        for _ in poll.attempts(_COLLECT_INTERVAL_S):
            meter.poll()

    def _is_over(self, started: float, stats: StatsSnapshot) -> bool:
        limit = self._settings.demo_seconds
        enough = stats.by_state.get(PredictionState.OK, 0) >= self._settings.demo_predicted
        return bool(limit) and enough and time.monotonic() - started >= limit

    def _is_replay_finished(self, stats: StatsSnapshot) -> bool:
        return stats.exchange is not None and stats.exchange["state"] == "ended"

    def _log_event(self, what: str | None) -> None:
        if what:
            self._terminal.events.append(what)
            if not self._console.is_terminal:
                self._print_plain(what)

    def _print_plain(self, text: str) -> None:
        """Print text without markup, highlighting or wrapping."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _finish(self, collector: StatsCollector, meter: DelayMeter, times: dict[str, float]) -> int:
        """Drain, reconcile the ledger with the documents, write the report; return the exit code."""
        self._rss_mib = {status.name: status.rss_mib for status in self._stack.status()}
        self._rss_mib["total"] = sum(self._rss_mib.values())
        stats = self._drain(collector, meter)
        ledger = self._stack.state.root / "ledger.jsonl"
        sent = readers.read_ledger(ledger) if stats.exchange is not None else None
        reconciliation = reconcile(sent, readers.read_trades(collector.elastic), readers.read_gaps(collector.elastic))
        self._received_file.write_text(json.dumps({"received": stats.received}), encoding="utf-8")
        delays = {"p50": meter.percentile_ms(0.5), "p99": meter.percentile_ms(0.99)}
        report = demo_report.build(reconciliation, stats, delays, self._rss_mib, self._setup_time() | times)
        path = paths.BUILD / "demo-report.json"
        demo_report.write(path, report)
        shown = {key: value for key, value in report.items() if key not in ("reconciliation", "by_model")}
        self._console.print_json(data=shown)
        verdict = "reconciled" if reconciliation.is_reconciled() else "NOT RECONCILED"
        self._console.print(f"{verdict}: {path}")
        return 0 if reconciliation.is_reconciled() else 1

    def _drain(self, collector: StatsCollector, meter: DelayMeter) -> StatsSnapshot:
        """Pause the simulator and wait until its trades are searchable, or the deadline has passed."""
        if self._settings.exchange == "simulator":
            collector.pause_exchange()
        stats, last_change_s = collector.collect(), time.monotonic()
        for _ in poll.attempts(self._settings.drain_seconds):
            meter.poll()
            newer = collector.collect()
            if (newer.sent, newer.produced, newer.indexed, newer.gaps) != (
                stats.sent,
                stats.produced,
                stats.indexed,
                stats.gaps,
            ):
                last_change_s = time.monotonic()
            stats = newer
            # No change during two refreshes and a batch: the pipeline is drained. Several producers write some trades
            # twice when they hand symbols over; `repeated` is the number of those that Spark found.
            indexed = stats.indexed or 0
            is_complete = indexed <= (stats.produced or 0) <= indexed + stats.repeated
            if is_complete and stats.received >= indexed and time.monotonic() - last_change_s > 4.0:
                break
        return stats

    def _received_before(self) -> int:
        if not self._received_file.exists():
            return 0
        return int(json.loads(self._received_file.read_text(encoding="utf-8"))["received"])

    def _setup_time(self) -> dict[str, float]:
        path = paths.TOOLS / "setup.json"
        return {"setup_s": json.loads(path.read_text(encoding="utf-8"))["setup_s"]} if path.exists() else {}


def _scores(report: dict[str, object]) -> dict[str, float]:
    names = ("auc", "mcc", "brier_skill_vs_prior")
    return {name: float(str(report[name])) for name in names if report.get(name) is not None}


def _is_exchange_reachable() -> bool:
    probe = [sys.executable, "-m", "tapeline_producer", "--probe"]
    return subprocess.run(probe, check=False, stdout=subprocess.DEVNULL).returncode == 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo; 0 when reconciled, 1 when not or when a part fails, 2 when refused or Bybit is unreachable."""
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        settings = load(DemoSettings)
    except SettingsRefused as error:
        console.print(f"make demo: {error}", markup=False, highlight=False, soft_wrap=True)
        return _SETTINGS_REFUSED
    if settings.exchange == "bybit" and not _is_exchange_reachable():
        console.print(
            "Bybit cannot be reached from here. `make demo` shows the same with the simulator; "
            "`make demo CAPTURE=file` replays recorded trades."
        )
        return _EXCHANGE_UNREACHABLE
    try:
        return Demo(settings, console).run()
    except OutdatedState as error:
        console.print(f"make demo: {error}", markup=False, highlight=False, soft_wrap=True)
        return _STATE_REFUSED
    except (StackError, httpx.HTTPError) as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
