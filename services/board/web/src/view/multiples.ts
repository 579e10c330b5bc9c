// Small multiples: the price of each instrument on its own scale.

import { keyOf, nameOf, type Instrument } from "../instrument.ts";
import { Spark } from "../chart/plot.ts";
import { flag, h, put, Rows } from "../dom.ts";
import * as format from "../format.ts";
import type { MarketResponse, MarketSeries } from "../api.ts";

interface Row {
  element: HTMLElement;
  name: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
  spark: Spark;
  instrument: Instrument | null;
}

/** Return the first and the last median and their difference in basis points. */
export function priceChange(series: MarketSeries): { first: number; last: number; change_bp: number } | null {
  const [first, last] = [series.price[0], series.price.at(-1)];
  if (first === undefined || last === undefined) return null;
  return { first, last, change_bp: (last / first - 1) * 10_000 };
}

export class Multiples {
  readonly element = h("div", { class: "multiples" });
  readonly #rows: Rows<{ series: MarketSeries; response: MarketResponse }, Row>;

  constructor(onSelect: (instrument: Instrument) => void) {
    const make = (): Row => {
      const [name, price, change] = [h("b"), h("span"), h("span", { class: "change" })];
      const spark = new Spark();
      const title = h("span", { class: "multiple-title" }, name, price, change);
      const element = h("button", { class: "multiple", attr: { type: "button" } }, title, spark.element);
      const row: Row = { element, name, price, change, spark, instrument: null };
      element.addEventListener("click", () => row.instrument && onSelect(row.instrument));
      return row;
    };
    this.#rows = new Rows(this.element, make, write);
  }

  show(response: MarketResponse): void {
    this.#rows.show(response.series.map((series) => ({ series, response })));
  }
}

function write(row: Row, { series, response }: { series: MarketSeries; response: MarketResponse }): void {
  const found = priceChange(series);
  row.instrument = series;
  put(row.name, nameOf(series));
  put(row.price, format.price(found?.last));
  put(row.change, format.basisPoints(found?.change_bp, 0));
  const tone = !found || found.change_bp === 0 ? "even" : found.change_bp > 0 ? "up" : "down";
  flag(row.change, "data-tone", tone);
  flag(row.element, "data-instrument", keyOf(series));
  const line = { name: nameOf(series), tone, at: series.at, values: series.price };
  row.spark.show(line, response.from_at, response.to_at, 20 * response.interval_ms);
}
