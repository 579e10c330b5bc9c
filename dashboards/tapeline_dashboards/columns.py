"""Builds the columns of a Lens layer: buckets and metrics, in the schema of Kibana. Pure.

The schema follows exports of Kibana. A formula has at least three columns: its operands, the math operation over
them, and the formula itself, which is the displayed column.
"""

import json
from typing import Any, Final

from tapeline_dashboards.source import MARKET, Bucket, LensPanel, Number, Time, Value, Where
from tapeline_dashboards.views import DataView

Columns = dict[str, dict[str, Any]]
RECORDS: Final = "___records___"
OPERATIONS: Final = {"unique": "unique_count"}
_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "number": {"id": "number", "params": {"decimals": 0}},
    "fine": {"id": "number", "params": {"decimals": 4}},
    "percent": {"id": "percent", "params": {"decimals": 1}},
    "milliseconds": {"id": "number", "params": {"decimals": 0, "suffix": " ms"}},
}


def bucket_id(number: int) -> str:
    """Return the column id of a panel's bucket, outermost 0."""
    return f"bucket-{number}"


def value_id(number: int) -> str:
    """Return the column id of a panel's value."""
    return f"value-{number}"


def kql(where: Where) -> str:
    """Return conditions in KQL."""
    return " and ".join(f"{name}: {'*' if value == '*' else json.dumps(value)}" for name, value in where.items())


def fields_of(bucket: Bucket, view: DataView) -> tuple[str, ...]:
    """Return the fields of a bucket; a market has more than one."""
    if isinstance(bucket, Time):
        return ("@timestamp",)
    return view.market if bucket.terms == MARKET else (bucket.terms,)


def layer_of(panel: LensPanel, view: DataView) -> dict[str, Any]:
    """Return the one layer of a panel."""
    buckets = {bucket_id(n): _bucket_column(bucket, panel, view) for n, bucket in enumerate(panel.buckets)}
    values: Columns = {}
    for number, value in enumerate(panel.values):
        values |= _value_columns(value_id(number), value, view)
    return {
        "columns": buckets | values,
        "columnOrder": [*buckets, *values],
        "incompleteColumns": {},
        "sampling": 1,
        "ignoreGlobalFilters": not panel.uses_controls,
    }


def _bucket_column(bucket: Bucket, panel: LensPanel, view: DataView) -> dict[str, Any]:
    if isinstance(bucket, Time):
        return {
            "label": "Time",
            "customLabel": True,
            "dataType": "date",
            "operationType": "date_histogram",
            "sourceField": "@timestamp",
            "isBucketed": True,
            "scale": "interval",
            "params": {"interval": bucket.time, "includeEmptyRows": True, "dropPartials": False},
        }
    first, *more = fields_of(bucket, view)
    return {
        "label": bucket.name or bucket.terms.replace("_", " ").capitalize(),
        "customLabel": True,
        "dataType": "boolean" if view.kind(first) == "boolean" else "string",
        "operationType": "terms",
        "sourceField": first,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": bucket.size,
            **_order(bucket.order, panel),
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "multi_terms" if more else "terms"},
            **({"secondaryFields": more} if more else {}),
            "include": [],
            "exclude": [],
            "includeIsRegex": False,
            "excludeIsRegex": False,
        },
    }


def _order(order: str | Number, panel: LensPanel) -> dict[str, Any]:
    if isinstance(order, Number):
        agg = _number_column(order, f"{order.kind.capitalize()} of {order.field}")
        return {"orderBy": {"type": "custom"}, "orderAgg": agg, "orderDirection": "desc"}
    if order == "key":
        return {"orderBy": {"type": "alphabetical", "fallback": False}, "orderDirection": "asc"}
    for number, value in enumerate(panel.values):
        is_all = order == "count" and value.kind == "count" and not value.where
        if value.name == order or is_all:
            return {"orderBy": {"type": "column", "columnId": value_id(number)}, "orderDirection": "desc"}
    agg = _number_column(Number(count=True), "Count of records")
    return {"orderBy": {"type": "custom"}, "orderAgg": agg, "orderDirection": "desc"}


def _number_column(number: Number, label: str, for_formula: bool = False, is_date: bool = False) -> dict[str, Any]:
    params: dict[str, Any] = {"emptyAsNull": not for_formula and number.kind in ("count", "sum", "unique")}
    if number.percentile is not None:
        params["percentile"] = number.percentile.at
    return {
        "label": label,
        "customLabel": True,
        "dataType": "date" if is_date else "number",
        "operationType": OPERATIONS.get(number.kind, number.kind),
        "sourceField": number.field or RECORDS,
        "isBucketed": False,
        "scale": "ratio",
        **({"filter": {"query": kql(number.where), "language": "kuery"}} if number.where else {}),
        "params": params,
    }


def _value_columns(identity: str, value: Value, view: DataView) -> Columns:
    number_format = {"format": _FORMATS[value.form]} if value.form else {}
    if not value.is_formula:
        is_date = value.kind in ("min", "max") and view.kind(value.field or "") == "date"
        column = _number_column(value, value.name, is_date=is_date)
        column["params"] |= number_format
        return {identity: column}
    sign, name = ("/", "divide") if value.kind == "ratio" else ("-", "subtract")
    text = f" {sign} ".join(_formula_text(part) for part in value.parts)
    label = f"Part of {text}"
    parts = {f"{identity}X{n}": _number_column(part, label, for_formula=True) for n, part in enumerate(value.parts)}
    location = {"location": {"min": 0, "max": len(text)}, "text": text}
    common = {"customLabel": True, "dataType": "number", "isBucketed": False, "scale": "ratio"}
    math_id = f"{identity}X{len(parts)}"
    formula = {
        "label": value.name,
        "operationType": "formula",
        "params": {"formula": text, "isFormulaBroken": False, **number_format},
        "references": [math_id],
        **common,
    }
    tree = {"type": "function", "name": name, "args": list(parts), **location}
    math = {"label": label, "operationType": "math", "params": {"tinymathAst": tree}, "references": list(parts)}
    return {identity: formula, **parts, math_id: math | common}


def _formula_text(number: Number) -> str:
    """Return a number in the syntax of the Lens formula editor."""
    inside = [number.field] if number.field else []
    inside += [f"percentile={number.percentile.at}"] if number.percentile else []
    inside += [f"kql='{kql(number.where)}'"] if number.where else []
    return f"{OPERATIONS.get(number.kind, number.kind)}({', '.join(inside)})"
