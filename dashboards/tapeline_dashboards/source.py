"""The readable source: what a dashboard is, as a person writes it. Pure models, strict: a misspelt word is refused.

A panel says what it shows (`values`, by `x`, `split` or `rows`), where it stands (`at`) and what it is called. From
the same model `lens` makes Kibana's saved objects and `queries` the requests that Elasticsearch answers in tests.
To add a kind of chart: add a class here, a maker in `lens`, and its buckets in `buckets_of`.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Where = dict[str, str | int | bool]
"""Conditions that all hold: a field equals a value; `"*"`: it has one."""
MARKET = "market"
"""In place of a field: symbol and market_type together, so that spot and futures of one name are never mixed."""

_Text = Annotated[str, Field(min_length=1)]
_Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
_Cells = Annotated[int, Field(ge=0, le=1000)]
_Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Percentile(_Strict):
    """The value of a field below which some percentage of the documents lies."""

    field: _Text
    at: Annotated[int, Field(gt=0, lt=100)]


class Number(_Strict):
    """One number over some documents; exactly one of its kinds is given."""

    count: Literal[True] | None = None
    median: _Text | None = None
    average: _Text | None = None
    sum: _Text | None = None
    min: _Text | None = None
    max: _Text | None = None
    unique: _Text | None = None
    percentile: Percentile | None = None
    where: Where = {}

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self._given()) != 1:
            raise ValueError(f"kinds of a number were {self._given()}; there must be exactly one")
        return self

    def _given(self) -> list[str]:
        return [name for name in KINDS if getattr(self, name, None) is not None]

    @property
    def kind(self) -> str:
        """Return which of its kinds it is."""
        return self._given()[0]

    @property
    def field(self) -> str | None:
        """Return the field it is worked out from, None where documents are counted."""
        given = getattr(self, self.kind)
        if self.kind == "count":
            return None
        return given.field if isinstance(given, Percentile) else str(given)


KINDS = ("count", "median", "average", "sum", "min", "max", "unique", "percentile")


class Value(Number):
    """A named number of a panel, or one divided by another, or the difference of two."""

    name: _Text
    ratio: tuple[Number, Number] | None = None
    difference: tuple[Number, Number] | None = None
    axis: Literal["left", "right"] = "left"
    colour: _Colour | None = None
    form: Literal["number", "percent", "milliseconds", "fine"] | None = None

    def _given(self) -> list[str]:
        return [name for name in (*KINDS, "ratio", "difference") if getattr(self, name, None) is not None]

    @property
    def parts(self) -> tuple[Number, ...]:
        """Return the numbers it is made of: itself, or the two of a ratio or difference."""
        return self.ratio or self.difference or (self,)

    @property
    def is_formula(self) -> bool:
        """Tell whether it is worked out from other numbers."""
        return self.kind in ("ratio", "difference")


class Terms(_Strict):
    """A bucket for each of the most frequent values of a field, or of `market`."""

    terms: _Text
    size: Annotated[int, Field(ge=1, le=100)] = 10
    order: _Text | Number = "count"
    """`count`, `key`, the name of a value of the panel, or a number of its own."""
    name: str | None = None


class Time(_Strict):
    """A bucket for each span of time; `auto`: as wide as Kibana finds fit."""

    time: Literal["auto", "1m", "1h"]


Bucket = Terms | Time


class _Panel(_Strict):
    id: _Id
    title: _Text
    at: tuple[_Cells, _Cells, _Cells, _Cells]
    """Column, row, width and height, of 48 columns."""
    opens: _Id | None = None
    """A dashboard that a click on one of its buckets leads to."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return what its documents are dealt out by, outermost first."""
        return ()


class _Shown(_Panel):
    view: _Text
    where: Where = {}
    values: Annotated[tuple[Value, ...], Field(min_length=1)]
    hears_controls: bool = True
    """False: it shows all there is, whatever is chosen above."""


Series = Literal[
    "line",
    "bar",
    "bar_stacked",
    "bar_percentage_stacked",
    "area_percentage_stacked",
    "bar_horizontal",
    "bar_horizontal_stacked",
    "bar_horizontal_percentage_stacked",
]


class Xy(_Shown):
    """Lines or bars."""

    kind: Literal["xy"]
    series: Series
    x: Bucket
    split: Terms | None = None
    logarithmic: bool = False
    from_zero: bool = True

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return the buckets; a line is split first, so that every line goes over the whole time."""
        if self.split is None:
            return (self.x,)
        return (self.split, self.x) if isinstance(self.x, Time) else (self.x, self.split)


class Donut(_Shown):
    """Shares of a whole."""

    kind: Literal["donut"]
    split: Terms

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return the slices."""
        return (self.split,)


class Figure(_Shown):
    """One number, large."""

    kind: Literal["figure"]


class Table(_Shown):
    """Rows of numbers."""

    kind: Literal["table"]
    rows: Annotated[tuple[Bucket, ...], Field(min_length=1)]

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return what its rows are."""
        return self.rows


class Vega(_Panel):
    """A drawing of its own, from the folder `vega`."""

    kind: Literal["vega"]
    drawing: _Id


class List(_Panel):
    """Documents themselves, newest first."""

    kind: Literal["list"]
    view: _Text
    columns: Annotated[tuple[_Text, ...], Field(min_length=1)]


class Prose(_Panel):
    """Words."""

    kind: Literal["prose"]
    text: _Text


Panel = Annotated[Xy | Donut | Figure | Table | Vega | List | Prose, Field(discriminator="kind")]
Shown = Xy | Donut | Figure | Table


class Control(_Strict):
    """A list to choose from above the panels."""

    field: _Text
    title: _Text
    view: _Text = "trades"


class Dashboard(_Strict):
    """One dashboard."""

    id: _Id
    title: _Text
    description: _Text
    since: Annotated[str, Field(pattern=r"^now-\d+[mhd]$")]
    refresh_s: Annotated[int, Field(ge=5, le=3600)] = 5
    controls: tuple[Control, ...] = ()
    panels: Annotated[tuple[Panel, ...], Field(min_length=1)]
