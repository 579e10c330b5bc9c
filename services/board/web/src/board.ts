// The page: makes the panels, takes wishes, asks for what they need, and shows what arrives once a frame.

import { CandleChart } from "./chart/candles.ts";
import * as choices from "./choice.ts";
import { SPANS_MS, type Choice, type Market } from "./choice.ts";
import { flag, h, put } from "./dom.ts";
import * as format from "./format.ts";
import { Head } from "./panel/head.ts";
import * as keyboard from "./keys.ts";
import { Alerts } from "./panel/alerts.ts";
import { Books } from "./panel/books.ts";
import { Controls, Pulse } from "./panel/controls.ts";
import { ModelCard } from "./panel/model.ts";
import { Tape } from "./panel/tape.ts";
import { Watchlist } from "./panel/watchlist.ts";
import { Source, remaining, type Known, type Part } from "./source.ts";
import { Views } from "./view/views.ts";
import { say } from "./words.ts";

const DATA: readonly (keyof Choice)[] = ["span", "fixed", "only", "side", "prediction", "state"];

export class Board {
  #choice: Choice;
  /** On the chart: the chosen one, else the most active one when the page began. */
  #focus: Market | null;
  #source: Source;
  readonly #dirty = new Set<Part | "choice">();
  #frame = 0;
  readonly #controls: Controls;
  readonly #pulse = new Pulse();
  readonly #watch: Watchlist;
  readonly #head = new Head();
  readonly #chart: CandleChart;
  readonly #views: Views;
  readonly #tape = new Tape();
  readonly #books = new Books();
  readonly #model = new ModelCard();
  readonly #alerts = new Alerts();
  readonly #main = h("main");
  readonly #canvas = h("div", { class: "chart", attr: { role: "img" } });
  readonly #blank = h("p", { class: "empty chart-empty" });
  readonly #help: HTMLDialogElement;

  constructor(root: HTMLElement, choice: Choice) {
    this.#choice = choice;
    this.#focus = choice.focus;
    const keys = this.#keys();
    this.#help = keyboard.helpDialog(keys);
    const toggles = {
      theme: () => this.#theme(),
      language: () => this.#language(),
      help: () => this.#help.showModal(),
    };
    this.#controls = new Controls((change) => this.change(change), toggles);
    const focus = (market: Market) => this.change({ focus: market });
    const only = (market: Market) => this.change({ only: choices.toggleOnly(this.#choice, market).only });
    this.#watch = new Watchlist({ focus, only, all: () => this.change({ only: [] }) });
    this.#views = new Views(focus);
    this.#lay(root);
    this.#chart = new CandleChart(this.#canvas);
    keyboard.listen(keys);
    this.#source = this.#begin({});
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
    window.addEventListener("popstate", () => this.change(choices.readChoice(location.search), false));
    this.#soon("choice");
  }

  #lay(root: HTMLElement): void {
    const brand = h("a", { class: "brand", attr: { href: "/" } }, h("i"), h("b", { text: "Tapeline" }));
    const top = h("header", { class: "top" }, brand, this.#pulse.element, this.#controls.element);
    const chart = h(
      "section",
      { class: "panel main" },
      this.#head.element,
      h("div", { class: "chart-frame" }, this.#canvas, this.#blank),
    );
    const live = h("div", { class: "live" }, this.#watch.element, chart, this.#tape.element);
    const judged = h("div", { class: "judged" }, this.#model.element, this.#alerts.element);
    const link = h("a", { text: say("charts"), attr: { href: "https://www.tradingview.com/", rel: "noreferrer" } });
    const foot = h("footer", {}, h("p", { text: say("promise") }), link);
    this.#main.append(live, this.#books.element, this.#views.element, judged);
    root.replaceChildren(top, this.#main, foot, this.#help);
  }

  /** Take a wish: into the address, then into everything it touches. */
  change(change: Partial<Choice>, isNew = true): void {
    const before = this.#choice;
    this.#choice = { ...before, ...change };
    if (change.focus) this.#choice.focus = choices.marketOf(change.focus);
    const search = choices.writeChoice(this.#choice);
    if (isNew && search !== location.search) history.pushState(null, "", `${location.pathname}${search}`);
    if (this.#choice.language !== before.language) return location.reload();
    if (this.#choice.theme !== before.theme) this.#paint();
    const focus = this.#choice.focus ?? this.#focus;
    const isOther = !choices.sameMarket(focus, this.#focus);
    this.#focus = focus;
    const areOther = DATA.some((name) => JSON.stringify(before[name]) !== JSON.stringify(this.#choice[name]));
    if (isOther || areOther) this.#restart(isOther || areOther, areOther);
    this.#soon("choice");
  }

  #begin(before: Partial<Known>): Source {
    const source = new Source(this.#choice, this.#focus, before, (part) => this.#soon(part));
    source.start();
    return source;
  }

  #restart(isOtherChart: boolean, areOtherFilters: boolean): void {
    const before = remaining(this.#source.known, isOtherChart, areOtherFilters);
    this.#source.end();
    this.#source = this.#begin(before);
    if (areOtherFilters) this.#tape.clear(say("connecting"));
    this.#soon("pulse");
  }

  /** Show a part in the next frame, however often it changes before. */
  #soon(part: Part | "choice"): void {
    this.#dirty.add(part);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const parts = new Set(this.#dirty);
      this.#dirty.clear();
      this.#show(parts);
    });
  }

  #show(parts: ReadonlySet<Part | "choice">): void {
    const known = this.#source.known;
    const first = known.symbols[0];
    if (!this.#focus && first) {
      this.#focus = { market_type: first.market_type, symbol: first.symbol };
      return this.#restart(true, false);
    }
    const any = (...names: (Part | "choice")[]) => names.some((name) => parts.has(name));
    if (any("choice", "symbols")) this.#watch.show(known.symbols, { ...this.#choice, focus: this.#focus });
    if (any("choice", "candles")) this.#showCandles();
    if (any("symbols", "candles", "choice")) this.#head.show(this.#focus, known);
    if (any("choice", "markers")) this.#chart.predictions(known.markers);
    if (any("choice", "gaps")) this.#chart.gaps(known.gaps);
    if (any("tape")) this.#tape.show(known.tape);
    if (any("choice", "market") && known.market) this.#views.show(known, this.#focus, this.#choice.numbers);
    if (any("books") && known.books) this.#books.show(known.books);
    if (any("model", "choice") && known.model) this.#model.show(known.model, Date.now());
    if (any("alerts")) this.#alerts.show(known.alerts);
    if (any("pulse", "choice")) this.#showPulse();
    if (any("choice")) this.#showChoice();
  }

  #showCandles(): void {
    const candles = this.#source.known.candles;
    const focus = this.#focus;
    const { fixed, span } = this.#choice;
    const shown = fixed ? null : SPANS_MS[span];
    this.#chart.show(`${focus ? choices.keyOf(focus) : ""} ${JSON.stringify(fixed ?? span)}`, candles, shown);
    this.#blank.hidden = candles.length > 0;
    put(this.#blank, say(focus ? "noCandles" : "waiting"));
  }

  #showChoice(): void {
    const now = Date.now();
    const { fixed, span } = this.#choice;
    this.#controls.show(this.#choice, fixed?.from ?? now - SPANS_MS[span], fixed?.to ?? now);
    this.#canvas.setAttribute("aria-label", say("chart", { symbol: this.#focus?.symbol ?? "" }));
    document.title = this.#focus ? `${this.#focus.symbol} · Tapeline` : "Tapeline";
  }

  #showPulse(): void {
    this.#pulseNow();
    // What stands still must not look alive, a green strip least of all.
    flag(this.#main, "data-stale", this.#pulse.element.dataset["tone"] === "away" ? "true" : null);
  }

  #pulseNow(): void {
    const { status, isConnected, refusals } = this.#source.known;
    const refusal = refusals.values().next().value;
    const away = status?.elasticsearch === "away";
    if (this.#choice.fixed) {
      const { from, to } = this.#choice.fixed;
      if (refusal) this.#pulse.show("away", say("refused", { why: refusal }));
      else this.#pulse.show("past", `${format.dayAndTime(from)} – ${format.dayAndTime(to)}`);
    } else if (isConnected === null) this.#pulse.show("waiting", say("connecting"));
    else if (!isConnected) this.#pulse.show("away", say("reconnecting"));
    else if (away) this.#pulse.show("away", say("away", { time: format.time(status.since_at, true) }));
    else if (refusal) this.#pulse.show("away", say("refused", { why: refusal }));
    else this.#pulse.show("live", say("live"));
  }

  #theme(): void {
    this.change({ theme: document.documentElement.dataset["theme"] === "dark" ? "light" : "dark" });
  }

  #language(): void {
    this.change({ language: document.documentElement.lang === "it" ? "en" : "it" });
  }

  #paint(): void {
    paint(this.#choice);
    this.#chart.recolour();
    this.#books.recolour();
  }

  #keys(): keyboard.Key[] {
    const step = (by: number) => {
      const market = this.#watch.neighbour(this.#focus, by);
      if (market) this.change({ focus: market });
    };
    const next = keyboard.nextOf;
    return [
      { keys: ["j", "k"], word: "keyNext", act: (key) => step(key === "j" ? 1 : -1) },
      { keys: ["/"], word: "find", act: () => this.#watch.search.focus() },
      {
        keys: ["1", "2", "3", "4"],
        word: "keySpan",
        act: (key) => this.change({ span: choices.SPAN_NAMES[Number(key) - 1] ?? "1h", fixed: null }),
      },
      {
        keys: ["b"],
        word: "keySide",
        act: () => this.change({ side: next([null, "Buy", "Sell"] as const, this.#choice.side) }),
      },
      {
        keys: ["p"],
        word: "keyPrediction",
        act: () => this.change({ prediction: next([null, 1, 0] as const, this.#choice.prediction) }),
      },
      { keys: ["n"], word: "numbersHint", act: () => this.change({ numbers: !this.#choice.numbers }) },
      { keys: ["t"], word: "theme", act: () => this.#theme() },
      { keys: ["?"], word: "keyHelp", act: () => this.#help.showModal() },
    ];
  }
}

/** Set light or dark on the document: as chosen, else as the system has it. */
export function paint(choice: Choice): void {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset["theme"] = choice.theme ?? system;
}
