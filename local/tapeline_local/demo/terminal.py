"""The live picture of the demo in a terminal. Pure: figures in, something rich can draw out."""

from collections import deque
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tapeline_local.demo.stats import Figures

_WINDOW = 10


@dataclass
class Screen:
    """What is drawn, and the few looks back that rates need.

    Attributes:
        title: first line.
        scores: of the trained model, by name; empty before there is one.
        events: what happened, newest last.
    """

    title: str
    scores: dict[str, float] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=6))
    _looks: deque[tuple[float, Figures]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def draw(self, now_s: float, figures: Figures, p50_ms: int | None, p99_ms: int | None) -> RenderableType:
        """Return the picture of one look.

        Args:
            now_s: a monotonic clock, for the rates.
            figures: the look.
            p50_ms: median delay from trade to searchable.
            p99_ms: its 99th percentile.
        """
        self._looks.append((now_s, figures))
        delay = Text(f"delay trade to searchable: p50 {_ms(p50_ms)}, p99 {_ms(p99_ms)}")
        body: list[RenderableType] = [self._stages(), delay, self._symbols(figures), self._model(figures), self._log()]
        return Panel(Group(*body), title=self.title)

    def line(self, now_s: float, figures: Figures, p50_ms: int | None, p99_ms: int | None) -> str:
        """Return the same look as one line, for a terminal that cannot be redrawn."""
        self._looks.append((now_s, figures))
        states = ", ".join(f"{name} {number:,}" for name, number in sorted(figures.by_state.items()))
        return (
            f"sent {_count(figures.sent)} received {_count(figures.received)} "
            f"produced {_count(figures.produced)} indexed {_count(figures.indexed)} "
            f"({self._rate('indexed'):.0f}/s) gaps {_count(figures.gaps)} rejected {_count(figures.rejected)} "
            f"delay p50 {_ms(p50_ms)} p99 {_ms(p99_ms)} [{states}]"
        )

    def _rate(self, name: str) -> float:
        readings = [(when, getattr(look, name)) for when, look in self._looks if getattr(look, name) is not None]
        if len(readings) < 2 or readings[-1][0] == readings[0][0]:
            return 0.0
        return float((readings[-1][1] - readings[0][1]) / (readings[-1][0] - readings[0][0]))

    def _stages(self) -> Table:
        figures = self._looks[-1][1]
        table = Table(expand=True, show_edge=False)
        stages = ("sent", "received", "produced", "indexed")
        for name in (*stages, "gaps", "rejected"):
            table.add_column(name, justify="right")
        holes = [_count(figures.gaps), _count(figures.rejected)]
        table.add_row(*(_count(getattr(figures, name)) for name in stages), *holes)
        table.add_row(*(f"{self._rate(name):,.0f}/s" for name in stages), "", "", style="dim")
        return table

    def _symbols(self, figures: Figures) -> Table:
        table = Table(expand=True, show_edge=False)
        for name in ("symbol", "trades", "price", "next different price higher"):
            table.add_column(name, justify="left" if name == "symbol" else "right")
        for row in figures.symbols:
            said = row.state if row.probability is None else f"{row.probability:.1%}"
            table.add_row(row.market, f"{row.trades:,}", row.price, said)
        return table

    def _model(self, figures: Figures) -> Text:
        if figures.model is None:
            return Text("model: none yet; trades are stored without a number until there is one", style="yellow")
        digest = str(figures.model.get("digest") or figures.model.get("model_digest"))[:12]
        scores = "  ".join(f"{name} {value:.3f}" for name, value in self.scores.items())
        return Text(f"model: {figures.model.get('kind', '')} {digest}  {scores}")

    def _log(self) -> Text:
        return Text("\n".join(self.events), style="dim")


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value / 1000:.2f} s"
