"""`make demo`: the whole stack, a live picture of it, one training run, and the books closed at the end."""

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
from tapeline import names

from tapeline_local import paths, poll
from tapeline_local.demo import readers
from tapeline_local.demo import report as demo_report
from tapeline_local.demo.delay import DelayMeter
from tapeline_local.demo.reconcile import reconcile
from tapeline_local.demo.settings import DemoSettings
from tapeline_local.demo.stats import Figures, Gatherer
from tapeline_local.demo.terminal import Screen
from tapeline_local.demo.trainer_run import Schooling
from tapeline_local.errors import StackError
from tapeline_local.stack.options import PARTS, StackOptions
from tapeline_local.stack.stack import Stack

_LOOK_EVERY_S = 1.0
_LINE_EVERY_S = 5.0
_UNREACHABLE = 2


class Demo:
    """One run of the demo on one state folder."""

    def __init__(self, choices: DemoSettings, console: Console) -> None:
        """Describe the stack; nothing is started."""
        self._choices, self._console = choices, console
        options = StackOptions(
            exchange=choices.exchange,
            capture=choices.capture.resolve() if choices.capture else None,
            speed=choices.speed,
            seed=choices.seed,
            rate_per_s=choices.rate,
            producers=choices.producers,
        )
        self._stack = Stack(paths.STATES / choices.demo_name, PARTS, options)
        self._earlier = self._stack.state.root / "received.json"
        source = "Bybit" if choices.exchange == "bybit" else choices.capture or "a made market"
        self._screen = Screen(f"Tapeline: {source}")
        self._rss_mib: dict[str, int] = {}

    def run(self) -> int:
        """Bring everything up, show it, close the books, take everything down; return the exit code."""
        begun = time.monotonic()
        try:
            self._stack.up(self._console.print)
            ready_s = time.monotonic() - begun
            return self._run_ready(ready_s)
        finally:
            self._console.print("stopping")
            self._stack.down(self._console.print)

    def _run_ready(self, ready_s: float) -> int:
        # What a demo shows fits into a quarter of an hour; the page's own hour would be mostly empty.
        board = f"{self._stack.addresses.board}/?span=15m"
        self._console.print(f"ready after {ready_s:.1f} s; the board: {board}")
        self._screen.title += f"   board: {board}"
        simulated = self._choices.exchange == "simulator"
        gatherer = Gatherer(self._stack.addresses, self._received_before(), simulated)
        school = Schooling(self._stack.state.root, self._stack.addresses.elasticsearch, self._choices.train_after)
        meter = DelayMeter(gatherer.elastic, "received_at" if self._choices.capture else "traded_at")
        begun = time.monotonic()
        try:
            try:
                self._show(gatherer, school, meter)
            except KeyboardInterrupt:
                self._console.print("ending; once more for at once")
            school.stop()
            shown_s = time.monotonic() - begun
            return self._close(gatherer, meter, {"ready_s": round(ready_s, 1), "shown_s": round(shown_s, 1)})
        finally:
            school.stop()
            gatherer.close()

    def _show(self, gatherer: Gatherer, school: Schooling, meter: DelayMeter) -> None:
        terminal = self._console.is_terminal
        begun = last_line = time.monotonic()
        live = Live(console=self._console, auto_refresh=False) if terminal else nullcontext()
        with live as picture:
            figures = gatherer.look()
            while not self._over(begun, figures):
                figures = gatherer.look()
                self._note(school.turn(figures.indexed))
                for event in self._stack.watch():
                    if event.kind in ("died", "gave up"):
                        self._note(f"{event.part} {event.kind}: {event.detail}")
                        self._console.print(
                            self._stack.log_tail(event.part, 8), markup=False, highlight=False, soft_wrap=True
                        )
                if school.report:
                    self._screen.scores = _scores(school.report)
                now, p50, p99 = time.monotonic(), meter.percentile_ms(0.5), meter.percentile_ms(0.99)
                if isinstance(picture, Live):
                    picture.update(self._screen.draw(now, figures, p50, p99), refresh=True)
                elif now - last_line >= _LINE_EVERY_S:
                    last_line = now
                    self._console.print(
                        self._screen.line(now, figures, p50, p99), markup=False, highlight=False, soft_wrap=True
                    )
                if self._replayed(figures) and not self._choices.demo_seconds:
                    return
                self._poll_delays(meter)

    def _poll_delays(self, meter: DelayMeter) -> None:
        for _ in poll.turns(_LOOK_EVERY_S):
            meter.poll()

    def _over(self, begun: float, figures: Figures) -> bool:
        limit = self._choices.demo_seconds
        enough = figures.by_state.get(names.STATE_OK, 0) >= self._choices.demo_predicted
        return bool(limit) and enough and time.monotonic() - begun >= limit

    def _replayed(self, figures: Figures) -> bool:
        return figures.exchange is not None and figures.exchange["state"] == "ended"

    def _note(self, what: str | None) -> None:
        if what:
            self._screen.events.append(what)
            if not self._console.is_terminal:
                self._say(what)

    def _say(self, text: str) -> None:
        """Print text as it is: nothing in it is markup, and lines stay whole."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _close(self, gatherer: Gatherer, meter: DelayMeter, times: dict[str, float]) -> int:
        """Let the last trades through, compare the ledger with the documents, write the report."""
        self._rss_mib = {status.name: status.rss_mib for status in self._stack.status()}
        self._rss_mib["total"] = sum(self._rss_mib.values())
        figures = self._settle(gatherer, meter)
        ledger = self._stack.state.root / "ledger.jsonl"
        sent = readers.read_ledger(ledger) if figures.exchange is not None else None
        books = reconcile(sent, readers.read_trades(gatherer.elastic), readers.read_gaps(gatherer.elastic))
        self._earlier.write_text(json.dumps({"received": figures.received}), encoding="utf-8")
        delays = {"p50": meter.percentile_ms(0.5), "p99": meter.percentile_ms(0.99)}
        report = demo_report.document(books, figures, delays, self._rss_mib, self._setup_time() | times)
        path = paths.BUILD / "demo-report.json"
        demo_report.write(path, report)
        shown = {key: value for key, value in report.items() if key not in ("books", "by_model")}
        self._console.print_json(data=shown)
        self._console.print(f"{'the books balance' if books.balanced() else 'THE BOOKS DO NOT BALANCE'}: {path}")
        return 0 if books.balanced() else 1

    def _settle(self, gatherer: Gatherer, meter: DelayMeter) -> Figures:
        """Stop the exchange and wait until what it sent is searchable, or the deadline has passed."""
        if self._choices.exchange == "simulator":
            gatherer.pause_exchange()
        figures, still_since = gatherer.look(), time.monotonic()
        for _ in poll.turns(self._choices.settle_seconds):
            meter.poll()
            newer = gatherer.look()
            if (newer.sent, newer.produced, newer.indexed, newer.gaps) != (
                figures.sent,
                figures.produced,
                figures.indexed,
                figures.gaps,
            ):
                still_since = time.monotonic()
            figures = newer
            # Two refreshes and a batch without any change: nothing is on its way any more. Several producers write
            # some trades twice when one takes symbols over from another; Spark says how many it met.
            indexed = figures.indexed or 0
            even = indexed <= (figures.produced or 0) <= indexed + figures.repeated
            if even and figures.received >= (figures.indexed or 0) and time.monotonic() - still_since > 4.0:
                break
        return figures

    def _received_before(self) -> int:
        if not self._earlier.exists():
            return 0
        return int(json.loads(self._earlier.read_text(encoding="utf-8"))["received"])

    def _setup_time(self) -> dict[str, float]:
        path = paths.TOOLS / "setup.json"
        return {"setup_s": json.loads(path.read_text(encoding="utf-8"))["setup_s"]} if path.exists() else {}


def _scores(report: dict[str, object]) -> dict[str, float]:
    names = ("auc", "mcc", "brier_skill_vs_prior")
    return {name: float(str(report[name])) for name in names if report.get(name) is not None}


def _exchange_answers() -> bool:
    probe = [sys.executable, "-m", "tapeline_producer", "--probe"]
    return subprocess.run(probe, check=False, stdout=subprocess.DEVNULL).returncode == 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo; 0 when the books balance, 1 when not or a part fails, 2 when Bybit is out of reach."""
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    choices = DemoSettings()
    if choices.exchange == "bybit" and not _exchange_answers():
        console.print(
            "Bybit cannot be reached from here. `make demo` shows the same with the simulator; "
            "`make demo CAPTURE=file` replays recorded trades."
        )
        return _UNREACHABLE
    try:
        return Demo(choices, console).run()
    except (StackError, httpx.HTTPError) as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
