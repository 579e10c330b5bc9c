"""Renders the demo's statistics for a terminal. Pure: snapshots in, rich renderables out."""

from collections import deque
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tapeline_local.demo.stats import StatsSnapshot

_SNAPSHOTS_FOR_RATE = 10


@dataclass
class Terminal:
    """State of the terminal view, and the recent snapshots that rates are computed from.

    Attributes:
        title: of the panel.
        scores: of the trained model, by name; empty before the first training.
        events: log lines, newest last.
    """

    title: str
    scores: dict[str, float] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=6))
    _snapshots: deque[tuple[float, StatsSnapshot]] = field(default_factory=lambda: deque(maxlen=_SNAPSHOTS_FOR_RATE))

    def render(self, now_s: float, stats: StatsSnapshot, p50_ms: int | None, p99_ms: int | None) -> RenderableType:
        """Return the panel of one snapshot.

        Args:
            now_s: monotonic clock in seconds, for the rates.
            stats: the snapshot.
            p50_ms: median delay from trade to searchable.
            p99_ms: its 99th percentile.
        """
        self._snapshots.append((now_s, stats))
        delay = Text(f"delay trade to searchable: p50 {_ms(p50_ms)}, p99 {_ms(p99_ms)}")
        body: list[RenderableType] = [
            self._stages(),
            delay,
            self._symbols(stats),
            self._model(stats),
            self._event_log(),
        ]
        return Panel(Group(*body), title=self.title)

    def summary_line(self, now_s: float, stats: StatsSnapshot, p50_ms: int | None, p99_ms: int | None) -> str:
        """Return the snapshot as one line, for an output that is not a terminal."""
        self._snapshots.append((now_s, stats))
        states = ", ".join(f"{name} {number:,}" for name, number in sorted(stats.by_state.items()))
        return (
            f"sent {_count(stats.sent)} received {_count(stats.received)} "
            f"produced {_count(stats.produced)} indexed {_count(stats.indexed)} "
            f"({self._rate('indexed'):.0f}/s) gaps {_count(stats.gaps)} rejected {_count(stats.rejected)} "
            f"delay p50 {_ms(p50_ms)} p99 {_ms(p99_ms)} [{states}]"
        )

    def _rate(self, name: str) -> float:
        samples = [
            (when, getattr(snapshot, name)) for when, snapshot in self._snapshots if getattr(snapshot, name) is not None
        ]
        if len(samples) < 2 or samples[-1][0] == samples[0][0]:
            return 0.0
        return float((samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0]))

    def _stages(self) -> Table:
        stats = self._snapshots[-1][1]
        table = Table(expand=True, show_edge=False)
        stages = ("sent", "received", "produced", "indexed")
        for name in (*stages, "gaps", "rejected"):
            table.add_column(name, justify="right")
        gaps_and_rejects = [_count(stats.gaps), _count(stats.rejected)]
        table.add_row(*(_count(getattr(stats, name)) for name in stages), *gaps_and_rejects)
        table.add_row(*(f"{self._rate(name):,.0f}/s" for name in stages), "", "", style="dim")
        return table

    def _symbols(self, stats: StatsSnapshot) -> Table:
        table = Table(expand=True, show_edge=False)
        for name in ("instrument", "trades", "price", "next different price higher"):
            table.add_column(name, justify="left" if name == "instrument" else "right")
        for row in stats.symbols:
            prediction = row.state if row.probability is None else f"{row.probability:.1%}"
            table.add_row(str(row.instrument), f"{row.trades:,}", row.price, prediction)
        return table

    def _model(self, stats: StatsSnapshot) -> Text:
        if stats.model is None:
            return Text("model: none yet; trades are stored without a prediction", style="yellow")
        digest = str(stats.model.get("digest") or stats.model.get("model_digest"))[:12]
        scores = "  ".join(f"{name} {value:.3f}" for name, value in self.scores.items())
        return Text(f"model: {stats.model.get('kind', '')} {digest}  {scores}")

    def _event_log(self) -> Text:
        return Text("\n".join(self.events), style="dim")


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value / 1000:.2f} s"
