// The figures of a view as a table: the data of the pictures, to read, to copy and for screen readers.

import { h } from "../dom.ts";

export interface Cell {
  text: string;
  /** The exact value. */
  value?: number | string | null;
}

export interface Figures {
  head: readonly string[];
  rows: readonly (readonly Cell[])[];
}

export function table({ head, rows }: Figures): HTMLTableElement {
  const title = h("tr", {}, ...head.map((text) => h("th", { text, attr: { scope: "col" } })));
  const body = rows.map((cells) =>
    h("tr", {}, ...cells.map(({ text, value }) => h("td", { text, attr: { "data-value": written(value) } }))),
  );
  return h("table", { class: "figures" }, h("thead", {}, title), h("tbody", {}, ...body));
}

function written(value: number | string | null | undefined): string | null {
  return value === undefined || value === null ? null : String(value);
}
