// The tape: trades, newest first. Rows are created once; only their texts change.

import { nameOf } from "../instrument.ts";
import { flag, h, put, Rows } from "../dom.ts";
import * as format from "../format.ts";
import type { TapeTrade } from "../api.ts";
import { t } from "../i18n.ts";
import { probabilityText } from "./watchlist.ts";

const MOST_ROWS = 40;

interface Row {
  element: HTMLElement;
  cells: HTMLElement[];
}

export class Tape {
  readonly element: HTMLElement;
  readonly #empty = h("p", { class: "empty", text: t("waiting") });
  readonly #rows: Rows<TapeTrade, Row>;

  constructor() {
    const head = ["time", "symbol", "price", "quantity", "probability"] as const;
    const titles = head.map((key) => h("th", { text: t(key), attr: { scope: "col" } }));
    const body = h("tbody");
    const rows = h("table", { class: "tape-rows" }, h("thead", {}, h("tr", {}, ...titles)), body);
    const title = h("header", {}, h("h2", { text: t("tape") }), h("span", { class: "note", text: t("tapeTitle") }));
    this.element = h("section", { class: "panel tape" }, title, h("div", { class: "tape-frame" }, rows), this.#empty);
    this.#rows = new Rows(body, make, write);
  }

  show(trades: readonly TapeTrade[]): void {
    this.#rows.show(trades.slice(0, MOST_ROWS));
    this.#empty.hidden = trades.length > 0;
  }

  /** Remove all rows: a query with other filters is running. */
  clear(text: string): void {
    this.show([]);
    put(this.#empty, text);
  }
}

function make(): Row {
  const cells = Array.from({ length: 5 }, () => h("td"));
  return { element: h("tr", {}, ...cells), cells };
}

function write({ element, cells }: Row, trade: TapeTrade): void {
  const probability = trade.state === "ok" ? probabilityText(trade) : t(trade.state);
  const texts = [format.time(trade.traded_at, true), nameOf(trade), trade.price, trade.quantity, probability];
  for (const [index, text] of texts.entries()) {
    const cell = cells[index];
    if (!cell) continue;
    put(cell, text);
    if (index === 1 || index === 4) cell.title = text;
  }
  flag(element, "data-side", trade.side);
  flag(element, "data-id", trade.trade_id);
  const last = cells.at(-1);
  if (last) flag(last, "data-tone", trade.prediction === null ? "state" : trade.prediction === 1 ? "up" : "down");
}
