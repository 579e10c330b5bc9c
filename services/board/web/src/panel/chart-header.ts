// Header of the chart: the instrument, its last price, and its returns in the rolling windows.

import { isSameInstrument, marketOf, type Instrument } from "../instrument.ts";
import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { PageData } from "../data-source.ts";
import type { RollingWindow } from "../api.ts";
import { t } from "../i18n.ts";
import { probabilityText, tone } from "./watchlist.ts";

export class ChartHeader {
  readonly element: HTMLElement;
  readonly #name = h("h1");
  readonly #market = h("small");
  readonly #price = h("strong", { class: "last" });
  readonly #probability = h("span", { class: "probability" });
  readonly #windows = h("dl", { class: "windows" });

  constructor() {
    const title = h("div", { class: "chart-title" }, this.#name, this.#market, this.#price, this.#probability);
    this.element = h("header", { class: "chart-header" }, title, this.#windows);
  }

  show(focus: Instrument | null, known: PageData): void {
    const row = known.symbols.find((one) => isSameInstrument(one, focus));
    const candle = known.candles.at(-1);
    put(this.#name, focus?.symbol ?? "");
    put(this.#market, focus ? marketOf(focus) : "");
    put(this.#price, format.price(row?.last_price ?? candle?.close));
    put(this.#probability, row ? probabilityText(row) : "");
    flag(this.#probability, "data-tone", row?.prediction === 1 ? "up" : "down");
    this.#probability.title = t("probabilityHint");
    const cells = known.windows.map((window) => windowCell(window));
    this.#windows.replaceChildren(...cells);
  }
}

function windowCell(window: RollingWindow): HTMLElement {
  const value = h("dd", { text: format.basisPoints(window.return_bp), attr: { "data-tone": tone(window.return_bp) } });
  const parts = [
    `${t("return")} ${format.basisPoints(window.return_bp)}`,
    `${t("volatility")} ${format.basisPoints(window.volatility_bp)}`,
    `${t("volume")} ${format.short(window.volume)}`,
    `${t("rate")} ${format.fixed(window.trades_per_s, 2)}`,
    `${t("imbalance")} ${format.fixed(window.imbalance, 2, true)}`,
  ];
  const rest = h("dd", { class: "rest", text: `${format.fixed(window.trades_per_s, 1)}/s` });
  return h(
    "div",
    { title: parts.join("\n"), attr: { "data-window": window.window } },
    h("dt", { text: window.window }),
    value,
    rest,
  );
}
