// The price of each symbol on its own scale, side by side: prices of different symbols share no axis.

import { keyOf, nameOf, type Market } from "../choice.ts";
import { Spark } from "../chart/plot.ts";
import { flag, h, put, Rows } from "../dom.ts";
import * as format from "../format.ts";
import type { MarketAnswer, MarketSeries } from "../told.ts";

interface Row {
  element: HTMLElement;
  name: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
  spark: Spark;
  market: Market | null;
}

/** Return the first and the last median and their difference in basis points. */
export function course(series: MarketSeries): { first: number; last: number; change_bp: number } | null {
  const [first, last] = [series.price[0], series.price.at(-1)];
  if (first === undefined || last === undefined) return null;
  return { first, last, change_bp: (last / first - 1) * 10_000 };
}

export class Multiples {
  readonly element = h("div", { class: "multiples" });
  readonly #rows: Rows<{ series: MarketSeries; answer: MarketAnswer }, Row>;

  constructor(choose: (market: Market) => void) {
    const make = (): Row => {
      const [name, price, change] = [h("b"), h("span"), h("span", { class: "change" })];
      const spark = new Spark();
      const words = h("span", { class: "multiple-words" }, name, price, change);
      const element = h("button", { class: "multiple", attr: { type: "button" } }, words, spark.element);
      const row: Row = { element, name, price, change, spark, market: null };
      element.addEventListener("click", () => row.market && choose(row.market));
      return row;
    };
    this.#rows = new Rows(this.element, make, write);
  }

  show(answer: MarketAnswer): void {
    this.#rows.show(answer.series.map((series) => ({ series, answer })));
  }
}

function write(row: Row, { series, answer }: { series: MarketSeries; answer: MarketAnswer }): void {
  const found = course(series);
  row.market = series;
  put(row.name, nameOf(series));
  put(row.price, format.price(found?.last));
  put(row.change, format.basisPoints(found?.change_bp, 0));
  const tone = !found || found.change_bp === 0 ? "even" : found.change_bp > 0 ? "up" : "down";
  flag(row.change, "data-tone", tone);
  flag(row.element, "data-market", keyOf(series));
  const line = { name: series.symbol, tone, at: series.at, values: series.price };
  row.spark.show(line, answer.from_at, answer.to_at, 20 * answer.interval_ms);
}
