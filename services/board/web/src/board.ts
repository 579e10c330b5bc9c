// The page: creates the panels, applies changes of the URL state, and renders changed data once a frame.

import { CandleChart } from "./chart/candles.ts";
import * as url from "./url-state.ts";
import { SPANS_MS, type UrlState } from "./url-state.ts";
import { instrumentOf, isSameInstrument, keyOf, nameOf, type Instrument } from "./instrument.ts";
import { flag, h, put } from "./dom.ts";
import * as format from "./format.ts";
import { ChartHeader } from "./panel/chart-header.ts";
import * as keyboard from "./keys.ts";
import { Alerts } from "./panel/alerts.ts";
import { Reconciliation } from "./panel/reconciliation.ts";
import { Controls, ConnectionStatus } from "./panel/controls.ts";
import { ModelCard } from "./panel/model.ts";
import { Tape } from "./panel/tape.ts";
import { Watchlist } from "./panel/watchlist.ts";
import { DataSource, retainedData, type PageData, type Part } from "./data-source.ts";
import { Views } from "./view/views.ts";
import { t } from "./i18n.ts";

const DATA: readonly (keyof UrlState)[] = ["span", "fixed", "only", "side", "prediction", "state"];

export class Board {
  #urlState: UrlState;
  /** On the chart: as in the URL, else the most active instrument at page load. */
  #focus: Instrument | null;
  #data: DataSource;
  readonly #dirty = new Set<Part | "url">();
  #frame = 0;
  readonly #controls: Controls;
  readonly #connection = new ConnectionStatus();
  readonly #watchlist: Watchlist;
  readonly #header = new ChartHeader();
  readonly #chart: CandleChart;
  readonly #views: Views;
  readonly #tape = new Tape();
  readonly #reconciliation = new Reconciliation();
  readonly #model = new ModelCard();
  readonly #alerts = new Alerts();
  readonly #main = h("main");
  readonly #canvas = h("div", { class: "chart", attr: { role: "img" } });
  readonly #emptyMessage = h("p", { class: "empty chart-empty" });
  readonly #help: HTMLDialogElement;

  constructor(root: HTMLElement, urlState: UrlState) {
    this.#urlState = urlState;
    this.#focus = urlState.focus;
    const keys = this.#keys();
    this.#help = keyboard.helpDialog(keys);
    const toggles = {
      theme: () => this.#theme(),
      language: () => this.#language(),
      help: () => this.#help.showModal(),
    };
    this.#controls = new Controls((change) => this.change(change), toggles);
    const focus = (instrument: Instrument) => this.change({ focus: instrument });
    const only = (instrument: Instrument) => this.change({ only: url.toggleOnly(this.#urlState, instrument).only });
    this.#watchlist = new Watchlist({ focus, only, all: () => this.change({ only: [] }) });
    this.#views = new Views(focus);
    this.#buildLayout(root);
    this.#chart = new CandleChart(this.#canvas);
    keyboard.listen(keys);
    this.#data = this.#startSource({});
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
    window.addEventListener("popstate", () => this.change(url.readUrlState(location.search), false));
    this.#scheduleRender("url");
  }

  #buildLayout(root: HTMLElement): void {
    const brand = h("a", { class: "brand", attr: { href: "/" } }, h("i"), h("b", { text: "Tapeline" }));
    const top = h("header", { class: "top" }, brand, this.#connection.element, this.#controls.element);
    const chart = h(
      "section",
      { class: "panel main" },
      this.#header.element,
      h("div", { class: "chart-frame" }, this.#canvas, this.#emptyMessage),
    );
    const live = h("div", { class: "live" }, this.#watchlist.element, chart, this.#tape.element);
    const evaluation = h("div", { class: "evaluation" }, this.#model.element, this.#alerts.element);
    const link = h("a", { text: t("charts"), attr: { href: "https://www.tradingview.com/", rel: "noreferrer" } });
    const foot = h("footer", {}, h("p", { text: t("disclaimer") }), link);
    this.#main.append(live, this.#reconciliation.element, this.#views.element, evaluation);
    root.replaceChildren(top, this.#main, foot, this.#help);
  }

  /** Apply a change to the URL, then to the data and the panels that depend on it. */
  change(change: Partial<UrlState>, isNew = true): void {
    const before = this.#urlState;
    this.#urlState = { ...before, ...change };
    if (change.focus) this.#urlState.focus = instrumentOf(change.focus);
    const search = url.writeUrlState(this.#urlState);
    if (isNew && search !== location.search) history.pushState(null, "", `${location.pathname}${search}`);
    if (this.#urlState.language !== before.language) return location.reload();
    if (this.#urlState.theme !== before.theme) this.#paint();
    const focus = this.#urlState.focus ?? this.#focus;
    const isOther = !isSameInstrument(focus, this.#focus);
    this.#focus = focus;
    const areOther = DATA.some((name) => JSON.stringify(before[name]) !== JSON.stringify(this.#urlState[name]));
    if (isOther || areOther) this.#restart(isOther || areOther, areOther);
    this.#scheduleRender("url");
  }

  #startSource(before: Partial<PageData>): DataSource {
    const source = new DataSource(this.#urlState, this.#focus, before, (part) => this.#scheduleRender(part));
    source.start();
    return source;
  }

  #restart(isOtherChart: boolean, areOtherFilters: boolean): void {
    const before = retainedData(this.#data.known, isOtherChart, areOtherFilters);
    this.#data.end();
    this.#data = this.#startSource(before);
    if (areOtherFilters) this.#tape.clear(t("connecting"));
    this.#scheduleRender("connection");
  }

  /** Render a part in the next frame, at most once a frame. */
  #scheduleRender(part: Part | "url"): void {
    this.#dirty.add(part);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const parts = new Set(this.#dirty);
      this.#dirty.clear();
      this.#render(parts);
    });
  }

  #render(parts: ReadonlySet<Part | "url">): void {
    const known = this.#data.known;
    const first = known.symbols[0];
    if (!this.#focus && first) {
      this.#focus = instrumentOf(first);
      return this.#restart(true, false);
    }
    const any = (...names: (Part | "url")[]) => names.some((name) => parts.has(name));
    if (any("url", "symbols")) this.#watchlist.show(known.symbols, { ...this.#urlState, focus: this.#focus });
    if (any("url", "candles")) this.#showCandles();
    if (any("symbols", "candles", "url")) this.#header.show(this.#focus, known);
    if (any("url", "markers")) this.#chart.predictions(known.markers);
    if (any("url", "gaps")) this.#chart.gaps(known.gaps);
    if (any("tape")) this.#tape.show(known.tape);
    if (any("url", "market") && known.market) this.#views.show(known, this.#focus, this.#urlState.numbers);
    if (any("reconciliation") && known.reconciliation) this.#reconciliation.show(known.reconciliation);
    if (any("model", "url") && known.model) this.#model.show(known.model, Date.now());
    if (any("alerts")) this.#alerts.show(known.alerts);
    if (any("connection", "url")) this.#showConnection();
    if (any("url")) this.#showUrlState();
  }

  #showCandles(): void {
    const candles = this.#data.known.candles;
    const focus = this.#focus;
    const { fixed, span } = this.#urlState;
    const shown = fixed ? null : SPANS_MS[span];
    this.#chart.show(`${focus ? keyOf(focus) : ""} ${JSON.stringify(fixed ?? span)}`, candles, shown);
    this.#emptyMessage.hidden = candles.length > 0;
    put(this.#emptyMessage, t(focus ? "noCandles" : "waiting"));
  }

  #showUrlState(): void {
    const now = Date.now();
    const { fixed, span } = this.#urlState;
    this.#controls.show(this.#urlState, fixed?.from ?? now - SPANS_MS[span], fixed?.to ?? now);
    this.#canvas.setAttribute("aria-label", t("chart", { symbol: this.#focus ? nameOf(this.#focus) : "" }));
    document.title = this.#focus ? `${nameOf(this.#focus)} · Tapeline` : "Tapeline";
  }

  #showConnection(): void {
    this.#showConnectionState();
    // Stale data must not look live.
    flag(this.#main, "data-stale", this.#connection.element.dataset["tone"] === "stale" ? "true" : null);
  }

  #showConnectionState(): void {
    const { status, isConnected, failures } = this.#data.known;
    const failure = failures.values().next().value;
    const isAway = status?.elasticsearch === "unavailable";
    if (this.#urlState.fixed) {
      const { from, to } = this.#urlState.fixed;
      if (failure) this.#connection.show("stale", t("queryFailed", { reason: failure }));
      else this.#connection.show("past", `${format.dayAndTime(from)} – ${format.dayAndTime(to)}`);
    } else if (isConnected === null) this.#connection.show("waiting", t("connecting"));
    else if (!isConnected) this.#connection.show("stale", t("reconnecting"));
    else if (isAway) this.#connection.show("stale", t("unavailable", { time: format.time(status.since_at, true) }));
    else if (failure) this.#connection.show("stale", t("queryFailed", { reason: failure }));
    else this.#connection.show("live", t("live"));
  }

  #theme(): void {
    this.change({ theme: document.documentElement.dataset["theme"] === "dark" ? "light" : "dark" });
  }

  #language(): void {
    this.change({ language: document.documentElement.lang === "it" ? "en" : "it" });
  }

  #paint(): void {
    paint(this.#urlState);
    this.#chart.recolour();
    this.#reconciliation.recolour();
  }

  #keys(): keyboard.Key[] {
    const step = (by: number) => {
      const instrument = this.#watchlist.neighbour(this.#focus, by);
      if (instrument) this.change({ focus: instrument });
    };
    const next = keyboard.nextOf;
    return [
      { keys: ["j", "k"], message: "keyNext", act: (key) => step(key === "j" ? 1 : -1) },
      { keys: ["/"], message: "find", act: () => this.#watchlist.search.focus() },
      {
        keys: ["1", "2", "3", "4"],
        message: "keySpan",
        act: (key) => this.change({ span: url.SPAN_NAMES[Number(key) - 1] ?? "1h", fixed: null }),
      },
      {
        keys: ["b"],
        message: "keySide",
        act: () => this.change({ side: next([null, "Buy", "Sell"] as const, this.#urlState.side) }),
      },
      {
        keys: ["p"],
        message: "keyPrediction",
        act: () => this.change({ prediction: next([null, 1, 0] as const, this.#urlState.prediction) }),
      },
      { keys: ["n"], message: "numbersHint", act: () => this.change({ numbers: !this.#urlState.numbers }) },
      { keys: ["t"], message: "theme", act: () => this.#theme() },
      { keys: ["?"], message: "keyHelp", act: () => this.#help.showModal() },
    ];
  }
}

/** Set the theme on the document: as chosen, else the system's. */
export function paint(urlState: UrlState): void {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset["theme"] = urlState.theme ?? system;
}
