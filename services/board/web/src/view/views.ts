// The six views. No median, mean or axis spans several instruments.

import { isSameInstrument, nameOf, type Instrument } from "../instrument.ts";
import { Plot, type Line, type Strip } from "../chart/plot.ts";
import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { PageData } from "../data-source.ts";
import type { MarketResponse, MarketSeries } from "../api.ts";
import { t, type MessageKey } from "../i18n.ts";
import { Bars } from "./bars.ts";
import * as figures from "./figures.ts";
import { Multiples } from "./multiples.ts";
import { table, type Figures } from "./table.ts";

const TITLES = {
  price: "viewPrice",
  median: "viewMedian",
  share: "viewShare",
  active: "viewActive",
  volume: "viewVolume",
  prediction: "viewPrediction",
} as const satisfies Record<string, MessageKey>;
type Name = keyof typeof TITLES;
const BRIDGED_BUCKETS = 20;

class Card {
  readonly element: HTMLElement;
  readonly #note = h("span", { class: "note" });
  readonly #table = h("div", { class: "table-frame" });
  readonly #empty = h("p", { class: "empty", text: t("nothing") });

  constructor(name: Name, picture: HTMLElement) {
    const title = h("header", {}, h("h2", { text: t(TITLES[name]) }), this.#note);
    picture.classList.add("picture");
    const attr = { "data-view": name };
    this.element = h("section", { class: "panel view", attr }, title, picture, this.#table, this.#empty);
  }

  note(text: string): void {
    put(this.#note, text);
  }

  /** Show the empty message, the picture, or the table. */
  mode(isEmpty: boolean, made: (() => Figures) | null): void {
    flag(this.element, "data-mode", isEmpty ? "empty" : made ? "figures" : "picture");
    this.#table.replaceChildren(...(made && !isEmpty ? [table(made())] : []));
  }
}

export class Views {
  readonly element: HTMLElement;
  readonly #multiples: Multiples;
  readonly #median = new Plot(t("viewMedian"));
  readonly #share: Bars;
  readonly #active: Bars;
  readonly #volume: Bars;
  readonly #prediction = new Plot(t("viewPrediction"));
  readonly #cards: Record<Name, Card>;

  constructor(onSelect: (instrument: Instrument) => void) {
    this.#multiples = new Multiples(onSelect);
    this.#share = new Bars("stacked", onSelect);
    this.#active = new Bars("single", onSelect);
    this.#volume = new Bars("paired", onSelect);
    this.#cards = {
      price: new Card("price", this.#multiples.element),
      median: new Card("median", this.#median.element),
      share: new Card("share", this.#share.element),
      active: new Card("active", this.#active.element),
      volume: new Card("volume", this.#volume.element),
      prediction: new Card("prediction", this.#prediction.element),
    };
    const cards = Object.values(this.#cards).map((card) => card.element);
    this.element = h("div", { class: "views" }, ...cards);
  }

  show({ market: response, focusedSeries }: PageData, focus: Instrument | null, numbers: boolean): void {
    if (!response) return;
    this.#perSymbol(response, numbers);
    const known = [...response.series, ...(focusedSeries ? [focusedSeries] : [])];
    const series = known.find((one) => isSameInstrument(one, focus)) ?? null;
    this.#overTime(response, series, focus, numbers);
    const length = t("buckets", { length: format.length(response.interval_ms) });
    this.#cards.price.note(length);
    const cut = response.is_truncated ? t("cut", { count: response.totals.length }) : "";
    for (const name of ["share", "active", "volume"] as const) this.#cards[name].note(cut);
  }

  #perSymbol(response: MarketResponse, numbers: boolean): void {
    const isEmpty = response.totals.length === 0;
    const mode = (name: Name, made: () => Figures) => this.#cards[name].mode(isEmpty, numbers ? made : null);
    mode("price", () => figures.priceFigures(response));
    mode("share", () => figures.shareFigures(response));
    mode("active", () => figures.activeFigures(response));
    mode("volume", () => figures.volumeFigures(response));
    if (isEmpty || numbers) return;
    this.#multiples.show(response);
    this.#share.show(shareRows(response));
    this.#active.show(activeRows(response));
    this.#volume.show(volumeRows(response));
  }

  #overTime(response: MarketResponse, series: MarketSeries | null, focus: Instrument | null, numbers: boolean): void {
    for (const name of ["median", "prediction"] as const) {
      this.#cards[name].note(focus ? nameOf(focus) : "");
      const made = name === "median" ? figures.medianFigures : figures.predictionFigures;
      this.#cards[name].mode(series === null, numbers && series ? () => made(series) : null);
    }
    if (!series || numbers) return;
    const { from_at: from, to_at: to, interval_ms } = response;
    const digits = format.priceDigits(series.price.at(-1) ?? 1);
    const common = {
      from,
      to,
      bridge: BRIDGED_BUCKETS * interval_ms,
      write: (v: number | null) => format.price(v, digits),
    };
    this.#median.show({ ...common, lines: medianLines(series), strip: differenceStrip(series) });
    this.#prediction.show({ ...common, lines: predictionLines(series), strip: leaningStrip(series) });
  }
}

function medianLines({ at, buy_price, sell_price }: MarketSeries): Line[] {
  return [
    { name: t("bought"), tone: "up", at, values: buy_price },
    { name: t("sold"), tone: "down", at, values: sell_price },
  ];
}

function differenceStrip({ at, buy_price, sell_price }: MarketSeries): Strip {
  const values = at.map((_, index) => figures.differenceBp(buy_price[index] ?? null, sell_price[index] ?? null));
  return { name: t("difference"), at, values, write: format.basisPoints };
}

/** How the predictions of each bucket lean: all up is one half, all down minus one half. */
function leaningStrip({ at, up_trades, down_trades }: MarketSeries): Strip {
  const values = at.map((_, index) => {
    const [ups, downs] = [up_trades[index] ?? 0, down_trades[index] ?? 0];
    return ups + downs ? ups / (ups + downs) - 0.5 : null;
  });
  return { name: t("shareUp"), at, values, write: (value) => format.percent(value === null ? null : value + 0.5, 0) };
}

function predictionLines({ at, price, up_price, down_price }: MarketSeries): Line[] {
  return [
    { name: t("price"), tone: "even", at, values: price },
    { name: t("predictedUp"), tone: "up", at, values: up_price, dots: true },
    { name: t("predictedDown"), tone: "down", at, values: down_price, dots: true },
  ];
}

function shareRows({ totals }: MarketResponse) {
  return totals.map((total) => {
    const share = figures.buyShare(total) ?? 0;
    const part = (tone: string, one: number) => ({ tone, share: one, text: format.percent(one) });
    return { ...total, parts: [part("up", share), part("down", 1 - share)] };
  });
}

function activeRows({ totals }: MarketResponse) {
  const most = Math.max(1, ...totals.map((total) => total.trades));
  return totals.map((total) => {
    const part = { tone: "even", share: total.trades / most, text: format.count(total.trades) };
    return { ...total, parts: [part] };
  });
}

function volumeRows({ totals }: MarketResponse) {
  return totals.map((total) => {
    const means = [total.up_quantity_mean, total.down_quantity_mean];
    const most = Math.max(...means.map((mean) => mean ?? 0)) || 1;
    const parts = means.map((mean, index) => ({
      tone: index === 0 ? "up" : "down",
      share: (mean ?? 0) / most,
      text: format.short(mean),
    }));
    return { ...total, parts };
  });
}
