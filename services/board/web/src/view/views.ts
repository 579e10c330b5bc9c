// The six views. Each is right per symbol: no median, mean or axis goes across symbols.

import { sameMarket, type Market } from "../choice.ts";
import { Plot, type Line, type Strip } from "../chart/plot.ts";
import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { Known } from "../source.ts";
import type { MarketAnswer, MarketSeries } from "../told.ts";
import { say, type Word } from "../words.ts";
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
} as const satisfies Record<string, Word>;
type Name = keyof typeof TITLES;
const BRIDGED_BUCKETS = 20;

class Card {
  readonly element: HTMLElement;
  readonly #note = h("span", { class: "note" });
  readonly #table = h("div", { class: "table-frame" });
  readonly #empty = h("p", { class: "empty", text: say("nothing") });

  constructor(name: Name, picture: HTMLElement) {
    const title = h("header", {}, h("h2", { text: say(TITLES[name]) }), this.#note);
    picture.classList.add("picture");
    const attr = { "data-view": name };
    this.element = h("section", { class: "panel view", attr }, title, picture, this.#table, this.#empty);
  }

  note(text: string): void {
    put(this.#note, text);
  }

  /** Say that there is nothing, or show the picture, or the figures where those are asked for. */
  mode(isEmpty: boolean, made: (() => Figures) | null): void {
    flag(this.element, "data-mode", isEmpty ? "empty" : made ? "figures" : "picture");
    this.#table.replaceChildren(...(made && !isEmpty ? [table(made())] : []));
  }
}

export class Views {
  readonly element: HTMLElement;
  readonly #multiples: Multiples;
  readonly #median = new Plot(say("viewMedian"));
  readonly #share: Bars;
  readonly #active: Bars;
  readonly #volume: Bars;
  readonly #prediction = new Plot(say("viewPrediction"));
  readonly #cards: Record<Name, Card>;

  constructor(choose: (market: Market) => void) {
    this.#multiples = new Multiples(choose);
    this.#share = new Bars("stacked", choose);
    this.#active = new Bars("single", choose);
    this.#volume = new Bars("paired", choose);
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

  show({ market: answer, aside }: Known, focus: Market | null, numbers: boolean): void {
    if (!answer) return;
    this.#perSymbol(answer, numbers);
    const series = [...answer.series, ...(aside ? [aside] : [])].find((one) => sameMarket(one, focus)) ?? null;
    this.#overTime(answer, series, focus, numbers);
    const length = say("buckets", { length: format.length(answer.interval_ms) });
    this.#cards.price.note(length);
    const cut = answer.is_cut ? say("cut", { count: answer.totals.length }) : "";
    for (const name of ["share", "active", "volume"] as const) this.#cards[name].note(cut);
  }

  #perSymbol(answer: MarketAnswer, numbers: boolean): void {
    const isEmpty = answer.totals.length === 0;
    const mode = (name: Name, made: () => Figures) => this.#cards[name].mode(isEmpty, numbers ? made : null);
    mode("price", () => figures.priceFigures(answer));
    mode("share", () => figures.shareFigures(answer));
    mode("active", () => figures.activeFigures(answer));
    mode("volume", () => figures.volumeFigures(answer));
    if (isEmpty || numbers) return;
    this.#multiples.show(answer);
    this.#share.show(shareRows(answer));
    this.#active.show(activeRows(answer));
    this.#volume.show(volumeRows(answer));
  }

  #overTime(answer: MarketAnswer, series: MarketSeries | null, focus: Market | null, numbers: boolean): void {
    for (const name of ["median", "prediction"] as const) {
      this.#cards[name].note(focus?.symbol ?? "");
      const made = name === "median" ? figures.medianFigures : figures.predictionFigures;
      this.#cards[name].mode(series === null, numbers && series ? () => made(series) : null);
    }
    if (!series || numbers) return;
    const { from_at: from, to_at: to, interval_ms } = answer;
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
    { name: say("bought"), tone: "up", at, values: buy_price },
    { name: say("sold"), tone: "down", at, values: sell_price },
  ];
}

function differenceStrip({ at, buy_price, sell_price }: MarketSeries): Strip {
  const values = at.map((_, index) => figures.differenceBp(buy_price[index] ?? null, sell_price[index] ?? null));
  return { name: say("difference"), at, values, write: format.basisPoints };
}

/** How the predictions of each bucket lean: all up is one half, all down minus one half. */
function leaningStrip({ at, up_trades, down_trades }: MarketSeries): Strip {
  const values = at.map((_, index) => {
    const [ups, downs] = [up_trades[index] ?? 0, down_trades[index] ?? 0];
    return ups + downs ? ups / (ups + downs) - 0.5 : null;
  });
  return { name: say("shareUp"), at, values, write: (value) => format.percent(value === null ? null : value + 0.5, 0) };
}

function predictionLines({ at, price, up_price, down_price }: MarketSeries): Line[] {
  return [
    { name: say("price"), tone: "even", at, values: price },
    { name: say("predictedUp"), tone: "up", at, values: up_price, dots: true },
    { name: say("predictedDown"), tone: "down", at, values: down_price, dots: true },
  ];
}

function shareRows({ totals }: MarketAnswer) {
  return totals.map((total) => {
    const share = figures.buyShare(total) ?? 0;
    const part = (tone: string, one: number) => ({ tone, share: one, text: format.percent(one) });
    return { ...total, parts: [part("up", share), part("down", 1 - share)] };
  });
}

function activeRows({ totals }: MarketAnswer) {
  const most = Math.max(1, ...totals.map((total) => total.trades));
  return totals.map((total) => {
    const part = { tone: "even", share: total.trades / most, text: format.count(total.trades) };
    return { ...total, parts: [part] };
  });
}

function volumeRows({ totals }: MarketAnswer) {
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
