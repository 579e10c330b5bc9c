// Symbols of the last hour, most active first: one is on the chart, some may be the only ones shown.

import { keyOf, sameMarket, type Choice, type Market } from "../choice.ts";
import { flag, h, put, Rows } from "../dom.ts";
import * as format from "../format.ts";
import type { SymbolRow } from "../told.ts";
import { say } from "../words.ts";

const MOST_ROWS = 60;

interface Row {
  element: HTMLElement;
  box: HTMLInputElement;
  button: HTMLElement;
  name: HTMLElement;
  market_type: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
  chance: HTMLElement;
  market: Market | null;
}

export interface Wishes {
  focus: (market: Market) => void;
  only: (market: Market) => void;
  all: () => void;
}

/** Return the text of a chance, with its direction; the state's name where there is none. */
export function chanceText(row: {
  probability: number | null;
  prediction: 0 | 1 | null;
  state: string | null;
}): string {
  if (row.probability === null) return "";
  return `${row.prediction === 1 ? "▲" : "▼"} ${format.percent(row.probability, 0)}`;
}

export class Watchlist {
  readonly element: HTMLElement;
  readonly search: HTMLInputElement;
  readonly #list = h("div", { class: "watch-rows" });
  readonly #all: HTMLElement;
  readonly #empty = h("p", { class: "empty", text: say("waiting") });
  readonly #rows: Rows<SymbolRow, Row>;
  readonly #wishes: Wishes;
  #told: readonly SymbolRow[] = [];
  #choice: Choice | null = null;

  constructor(wishes: Wishes) {
    this.#wishes = wishes;
    const attr = {
      type: "search",
      placeholder: say("find"),
      "aria-label": say("find"),
      autocomplete: "off",
      spellcheck: "false",
    };
    this.search = h("input", { class: "search", attr, on: { input: () => this.#draw() } });
    this.#all = h("button", {
      class: "link",
      text: say("showAll"),
      attr: { type: "button" },
      on: { click: wishes.all },
    });
    const title = h("header", {}, h("h2", { text: say("symbols") }), this.#all);
    this.element = h("section", { class: "panel watch" }, title, this.search, this.#list, this.#empty);
    this.#rows = new Rows(
      this.#list,
      () => this.#make(),
      (row, told) => this.#write(row, told),
    );
  }

  show(told: readonly SymbolRow[], choice: Choice): void {
    this.#told = told;
    this.#choice = choice;
    this.#draw();
  }

  /** Return the symbol so many rows below the one in focus, or above it. */
  neighbour(focus: Market | null, step: number): Market | null {
    const found = this.#found();
    const place = found.findIndex((row) => sameMarket(row, focus));
    return found[Math.min(Math.max(place + step, 0), found.length - 1)] ?? null;
  }

  #found(): readonly SymbolRow[] {
    const wanted = this.search.value.trim().toUpperCase();
    return this.#told.filter((row) => row.symbol.toUpperCase().includes(wanted)).slice(0, MOST_ROWS);
  }

  #make(): Row {
    const [name, market_type, price] = [h("b"), h("small"), h("span", { class: "price" })];
    const [change, chance] = [h("span", { class: "change" }), h("span", { class: "chance" })];
    const button = h(
      "button",
      { class: "watch-pick", attr: { type: "button" } },
      h("span", {}, name, market_type),
      price,
      chance,
      change,
    );
    const box = h("input", { attr: { type: "checkbox" } });
    const element = h("div", { class: "watch-row" }, box, button);
    const row: Row = { element, box, button, name, market_type, price, change, chance, market: null };
    button.addEventListener("click", () => row.market && this.#wishes.focus(row.market));
    box.addEventListener("change", () => row.market && this.#wishes.only(row.market));
    return row;
  }

  #write(row: Row, told: SymbolRow): void {
    const choice = this.#choice;
    row.market = { market_type: told.market_type, symbol: told.symbol };
    put(row.name, told.symbol);
    put(row.market_type, told.market_type);
    put(row.price, format.price(told.last_price));
    put(row.change, format.basisPoints(told.change_bp, 0));
    put(row.chance, chanceText(told));
    flag(row.change, "data-tone", tone(told.change_bp));
    flag(row.chance, "data-tone", told.prediction === null ? "even" : told.prediction === 1 ? "up" : "down");
    flag(row.button, "aria-current", sameMarket(told, choice?.focus ?? null) ? "true" : null);
    flag(row.element, "data-market", keyOf(told));
    flag(row.box, "aria-label", say("only", { symbol: told.symbol }));
    row.box.title = say("only", { symbol: told.symbol });
    row.box.checked = choice?.only.some((one) => sameMarket(one, told)) ?? false;
  }

  #draw(): void {
    const found = this.#found();
    this.#rows.show(found);
    this.#empty.hidden = found.length > 0;
    put(this.#empty, this.#told.length ? say("nothing") : say("waiting"));
    this.#all.hidden = !this.#choice?.only.length;
  }
}

export function tone(value: number | null): "up" | "down" | "even" {
  return value === null || value === 0 ? "even" : value > 0 ? "up" : "down";
}
