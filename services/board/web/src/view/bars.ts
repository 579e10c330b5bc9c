// One row a symbol, its parts as bars. A row is a button that puts its symbol on the chart.

import { keyOf, nameOf, type Market } from "../choice.ts";
import { flag, h, put, Rows } from "../dom.ts";

export interface Part {
  tone: string;
  /** Of the row's width, 0 to 1. */
  share: number;
  text: string;
}

export interface BarRow extends Market {
  parts: readonly Part[];
}

interface Row {
  element: HTMLElement;
  name: HTMLElement;
  bars: HTMLElement;
  isStacked: boolean;
  market: Market | null;
}

export class Bars {
  readonly element: HTMLElement;
  readonly #rows: Rows<BarRow, Row>;

  /** `kind`: "stacked" parts in one line, "single" one part, "paired" parts below each other. */
  constructor(kind: "stacked" | "single" | "paired", choose: (market: Market) => void) {
    this.element = h("div", { class: `bars ${kind}` });
    const make = (): Row => {
      const name = h("span", { class: "bar-name" });
      const bars = h("span", { class: "bar-parts" });
      const element = h("button", { class: "bar-row", attr: { type: "button" } }, name, bars);
      const row: Row = { element, name, bars, isStacked: kind === "stacked", market: null };
      element.addEventListener("click", () => row.market && choose(row.market));
      return row;
    };
    this.#rows = new Rows(this.element, make, write);
  }

  show(rows: readonly BarRow[]): void {
    this.#rows.show(rows);
  }
}

function write(row: Row, told: BarRow): void {
  row.market = told;
  put(row.name, nameOf(told));
  flag(row.element, "data-market", keyOf(told));
  for (const [index, part] of told.parts.entries()) {
    let bar = row.bars.children[index] as HTMLElement | undefined;
    if (!bar) row.bars.append((bar = h("span", {}, h("i"), h("span"))));
    const [fill, label] = bar.children as unknown as [HTMLElement, HTMLElement];
    bar.className = `bar ${part.tone}`;
    const width = `${(part.share * 100).toFixed(2)}%`;
    const wide = row.isStacked ? bar : fill;
    if (wide.style.inlineSize !== width) wide.style.inlineSize = width;
    put(label, part.text);
  }
  while (row.bars.children.length > told.parts.length) row.bars.lastElementChild?.remove();
}
