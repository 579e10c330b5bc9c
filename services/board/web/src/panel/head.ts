// Above the chart: the symbol, its last price, and how it moved in the rolling windows.

import type { Market } from "../choice.ts";
import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { Known } from "../source.ts";
import type { WindowFigures } from "../told.ts";
import { say } from "../words.ts";
import { chanceText, tone } from "./watchlist.ts";

export class Head {
  readonly element: HTMLElement;
  readonly #name = h("h1");
  readonly #market_type = h("small");
  readonly #price = h("strong", { class: "last" });
  readonly #chance = h("span", { class: "chance" });
  readonly #windows = h("dl", { class: "windows" });

  constructor() {
    const title = h("div", { class: "head-title" }, this.#name, this.#market_type, this.#price, this.#chance);
    this.element = h("header", { class: "head" }, title, this.#windows);
  }

  show(focus: Market | null, known: Known): void {
    const row = known.symbols.find((one) => one.symbol === focus?.symbol && one.market_type === focus.market_type);
    const candle = known.candles.at(-1);
    put(this.#name, focus?.symbol ?? "");
    put(this.#market_type, focus?.market_type ?? "");
    put(this.#price, format.price(row?.last_price ?? candle?.close));
    put(this.#chance, row ? chanceText(row) : "");
    flag(this.#chance, "data-tone", row?.prediction === 1 ? "up" : "down");
    this.#chance.title = say("chanceHint");
    const cells = known.windows.map((window) => windowCell(window));
    this.#windows.replaceChildren(...cells);
  }
}

function windowCell(told: WindowFigures): HTMLElement {
  const value = h("dd", { text: format.basisPoints(told.return_bp), attr: { "data-tone": tone(told.return_bp) } });
  const parts = [
    `${say("return")} ${format.basisPoints(told.return_bp)}`,
    `${say("volatility")} ${format.basisPoints(told.volatility_bp)}`,
    `${say("volume")} ${format.short(told.volume)}`,
    `${say("rate")} ${format.fixed(told.trades_per_s, 2)}`,
    `${say("imbalance")} ${format.fixed(told.imbalance, 2, true)}`,
  ];
  const rest = h("dd", { class: "rest", text: `${format.fixed(told.trades_per_s, 1)}/s` });
  return h(
    "div",
    { title: parts.join("\n"), attr: { "data-window": told.window } },
    h("dt", { text: told.window }),
    value,
    rest,
  );
}
