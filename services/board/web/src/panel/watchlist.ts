// Watchlist: instruments of the last hour, most active first. One has the focus; some may be the filter.

import { instrumentOf, isSameInstrument, keyOf, marketOf, nameOf, type Instrument } from "../instrument.ts";
import type { UrlState } from "../url-state.ts";
import { flag, h, put, Rows } from "../dom.ts";
import * as format from "../format.ts";
import type { SymbolRow } from "../api.ts";
import { t } from "../i18n.ts";

const MOST_ROWS = 60;

interface Row {
  element: HTMLElement;
  box: HTMLInputElement;
  button: HTMLElement;
  name: HTMLElement;
  market: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
  probability: HTMLElement;
  instrument: Instrument | null;
}

export interface WatchlistActions {
  focus: (instrument: Instrument) => void;
  only: (instrument: Instrument) => void;
  all: () => void;
}

/** Return the text of a probability, with its direction; the state's name where there is none. */
export function probabilityText(row: {
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
  readonly #empty = h("p", { class: "empty", text: t("waiting") });
  readonly #rows: Rows<SymbolRow, Row>;
  readonly #actions: WatchlistActions;
  #symbols: readonly SymbolRow[] = [];
  #urlState: UrlState | null = null;

  constructor(actions: WatchlistActions) {
    this.#actions = actions;
    const attr = {
      type: "search",
      placeholder: t("find"),
      "aria-label": t("find"),
      autocomplete: "off",
      spellcheck: "false",
    };
    this.search = h("input", { class: "search", attr, on: { input: () => this.#draw() } });
    this.#all = h("button", {
      class: "link",
      text: t("showAll"),
      attr: { type: "button" },
      on: { click: actions.all },
    });
    const title = h("header", {}, h("h2", { text: t("symbols") }), this.#all);
    this.element = h("section", { class: "panel watch" }, title, this.search, this.#list, this.#empty);
    this.#rows = new Rows(
      this.#list,
      () => this.#make(),
      (row, symbol) => this.#write(row, symbol),
    );
  }

  show(symbols: readonly SymbolRow[], urlState: UrlState): void {
    this.#symbols = symbols;
    this.#urlState = urlState;
    this.#draw();
  }

  /** Return the instrument so many rows below the one in focus, or above it. */
  neighbour(focus: Instrument | null, step: number): Instrument | null {
    const found = this.#found();
    const place = found.findIndex((row) => isSameInstrument(row, focus));
    return found[Math.min(Math.max(place + step, 0), found.length - 1)] ?? null;
  }

  #found(): readonly SymbolRow[] {
    const wanted = this.search.value.trim().toUpperCase();
    return this.#symbols.filter((row) => row.symbol.toUpperCase().includes(wanted)).slice(0, MOST_ROWS);
  }

  #make(): Row {
    const [name, market, price] = [h("b"), h("small"), h("span", { class: "price" })];
    const [change, probability] = [h("span", { class: "change" }), h("span", { class: "probability" })];
    const button = h(
      "button",
      { class: "watch-pick", attr: { type: "button" } },
      h("span", {}, name, market),
      price,
      probability,
      change,
    );
    const box = h("input", { attr: { type: "checkbox" } });
    const element = h("div", { class: "watch-row" }, box, button);
    const row: Row = { element, box, button, name, market, price, change, probability, instrument: null };
    button.addEventListener("click", () => row.instrument && this.#actions.focus(row.instrument));
    box.addEventListener("change", () => row.instrument && this.#actions.only(row.instrument));
    return row;
  }

  #write(row: Row, symbol: SymbolRow): void {
    const urlState = this.#urlState;
    row.instrument = instrumentOf(symbol);
    put(row.name, symbol.symbol);
    put(row.market, marketOf(symbol));
    put(row.price, format.price(symbol.last_price));
    put(row.change, format.basisPoints(symbol.change_bp, 0));
    put(row.probability, probabilityText(symbol));
    flag(row.change, "data-tone", tone(symbol.change_bp));
    flag(row.probability, "data-tone", symbol.prediction === null ? "even" : symbol.prediction === 1 ? "up" : "down");
    flag(row.button, "aria-current", isSameInstrument(symbol, urlState?.focus ?? null) ? "true" : null);
    flag(row.element, "data-instrument", keyOf(symbol));
    flag(row.box, "aria-label", t("only", { symbol: nameOf(symbol) }));
    row.box.title = t("only", { symbol: nameOf(symbol) });
    row.box.checked = urlState?.only.some((one) => isSameInstrument(one, symbol)) ?? false;
  }

  #draw(): void {
    const found = this.#found();
    this.#rows.show(found);
    this.#empty.hidden = found.length > 0;
    put(this.#empty, this.#symbols.length ? t("nothing") : t("waiting"));
    this.#all.hidden = !this.#urlState?.only.length;
  }
}

export function tone(value: number | null): "up" | "down" | "even" {
  return value === null || value === 0 ? "even" : value > 0 ? "up" : "down";
}
