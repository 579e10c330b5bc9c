// Bars: one row an instrument. A click on a row puts the instrument on the chart.

import { keyOf, nameOf, type Instrument } from "../instrument.ts";
import { flag, h, put, Rows } from "../dom.ts";

export interface Part {
  tone: string;
  /** Of the row's width, 0 to 1. */
  share: number;
  text: string;
}

export interface BarRow extends Instrument {
  parts: readonly Part[];
}

interface Row {
  element: HTMLElement;
  name: HTMLElement;
  bars: HTMLElement;
  isStacked: boolean;
  instrument: Instrument | null;
}

export class Bars {
  readonly element: HTMLElement;
  readonly #rows: Rows<BarRow, Row>;

  /** `kind`: "stacked" parts in one line, "single" one part, "paired" parts below each other. */
  constructor(kind: "stacked" | "single" | "paired", onSelect: (instrument: Instrument) => void) {
    this.element = h("div", { class: `bars ${kind}` });
    const make = (): Row => {
      const name = h("span", { class: "bar-name" });
      const bars = h("span", { class: "bar-parts" });
      const element = h("button", { class: "bar-row", attr: { type: "button" } }, name, bars);
      const row: Row = { element, name, bars, isStacked: kind === "stacked", instrument: null };
      element.addEventListener("click", () => row.instrument && onSelect(row.instrument));
      return row;
    };
    this.#rows = new Rows(this.element, make, write);
  }

  show(rows: readonly BarRow[]): void {
    this.#rows.show(rows);
  }
}

function write(row: Row, item: BarRow): void {
  row.instrument = item;
  put(row.name, nameOf(item));
  flag(row.element, "data-instrument", keyOf(item));
  for (const [index, part] of item.parts.entries()) {
    let bar = row.bars.children[index] as HTMLElement | undefined;
    if (!bar) row.bars.append((bar = h("span", {}, h("i"), h("span"))));
    const [fill, label] = bar.children as unknown as [HTMLElement, HTMLElement];
    bar.className = `bar ${part.tone}`;
    const width = `${(part.share * 100).toFixed(2)}%`;
    const wide = row.isStacked ? bar : fill;
    if (wide.style.inlineSize !== width) wide.style.inlineSize = width;
    put(label, part.text);
  }
  while (row.bars.children.length > item.parts.length) row.bars.lastElementChild?.remove();
}
