"""Models of the dashboard sources. Pure and strict: an unknown field is an error.

A panel has its data (`values`, by `x`, `split` or `rows`), its position (`at`) and its title. From the same model
`lens` builds Kibana's saved objects, and `queries` the Elasticsearch requests of tests.
To add a chart type: add a class here with its `buckets`, and a builder in `lens`.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Where = dict[str, str | int | bool]
"""Conditions joined by AND: a field equals a value; `"*"`: the field exists."""
MARKET = "market"
"""In place of a field: venue, market_type and symbol together, so that no two markets of a symbol are mixed."""

_Text = Annotated[str, Field(min_length=1)]
_Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
_GridUnits = Annotated[int, Field(ge=0, le=1000)]
_Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Percentile(_Strict):
    """A percentile of a field."""

    field: _Text
    at: Annotated[int, Field(gt=0, lt=100)]


class Number(_Strict):
    """One metric aggregation; exactly one kind is set."""

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
        if len(self._set_kinds()) != 1:
            raise ValueError(f"kinds of a number were {self._set_kinds()}; there must be exactly one")
        return self

    def _set_kinds(self) -> list[str]:
        return [name for name in KINDS if getattr(self, name, None) is not None]

    @property
    def kind(self) -> str:
        """Return the kind that is set."""
        return self._set_kinds()[0]

    @property
    def field(self) -> str | None:
        """Return the aggregated field, None for a document count."""
        value = getattr(self, self.kind)
        if self.kind == "count":
            return None
        return value.field if isinstance(value, Percentile) else str(value)


KINDS = ("count", "median", "average", "sum", "min", "max", "unique", "percentile")


class Value(Number):
    """A named number of a panel: one number, or the ratio or difference of two."""

    name: _Text
    ratio: tuple[Number, Number] | None = None
    difference: tuple[Number, Number] | None = None
    axis: Literal["left", "right"] = "left"
    colour: _Colour | None = None
    form: Literal["number", "percent", "milliseconds", "fine"] | None = None

    def _set_kinds(self) -> list[str]:
        return [name for name in (*KINDS, "ratio", "difference") if getattr(self, name, None) is not None]

    @property
    def parts(self) -> tuple[Number, ...]:
        """Return the operands: the number itself, or the two of a ratio or difference."""
        return self.ratio or self.difference or (self,)

    @property
    def is_formula(self) -> bool:
        """Return whether the value is a ratio or difference."""
        return self.kind in ("ratio", "difference")


class Terms(_Strict):
    """A bucket for each of the top values of a field, or of `market`."""

    terms: _Text
    size: Annotated[int, Field(ge=1, le=100)] = 10
    order: _Text | Number = "count"
    """`count`, `key`, the name of a value of the panel, or a separate number."""
    name: str | None = None


class Time(_Strict):
    """A bucket for each time interval; `auto`: Kibana chooses the interval."""

    time: Literal["auto", "1m", "1h"]


Bucket = Terms | Time


class _Panel(_Strict):
    id: _Id
    title: _Text
    at: tuple[_GridUnits, _GridUnits, _GridUnits, _GridUnits]
    """Column, row, width and height, of 48 columns."""
    opens: _Id | None = None
    """Target dashboard of the drill-down."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return the bucket aggregations, outermost first."""
        return ()


class _DataPanel(_Panel):
    view: _Text
    where: Where = {}
    values: Annotated[tuple[Value, ...], Field(min_length=1)]
    uses_controls: bool = True
    """False: the panel ignores the controls of its dashboard."""


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


class Xy(_DataPanel):
    """Lines, bars or areas."""

    kind: Literal["xy"]
    series: Series
    x: Bucket
    split: Terms | None = None
    logarithmic: bool = False
    from_zero: bool = True

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return the buckets; lines are split before time, so that every line spans the whole range."""
        if self.split is None:
            return (self.x,)
        return (self.split, self.x) if isinstance(self.x, Time) else (self.x, self.split)


class Donut(_DataPanel):
    """Donut chart."""

    kind: Literal["donut"]
    split: Terms

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return the bucket of the slices."""
        return (self.split,)


class Metric(_DataPanel):
    """One number."""

    kind: Literal["metric"]


class Table(_DataPanel):
    """Table with one row per bucket."""

    kind: Literal["table"]
    rows: Annotated[tuple[Bucket, ...], Field(min_length=1)]

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Return the buckets of the rows."""
        return self.rows


class Vega(_Panel):
    """Vega visualization, its spec from the folder `vega`."""

    kind: Literal["vega"]
    spec: _Id


class List(_Panel):
    """List of documents, latest first."""

    kind: Literal["list"]
    view: _Text
    columns: Annotated[tuple[_Text, ...], Field(min_length=1)]


class Markdown(_Panel):
    """Markdown text."""

    kind: Literal["markdown"]
    text: _Text


Panel = Annotated[Xy | Donut | Metric | Table | Vega | List | Markdown, Field(discriminator="kind")]
LensPanel = Xy | Donut | Metric | Table


class Control(_Strict):
    """Options list control above the panels."""

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
