// Where what the page knows comes from: the stream while it is live, answers for a span of the past. It keeps the
// choice's questions and nothing of the page; whoever listens is told what changed.

import { address, ask, type Query } from "./ask.ts";
import { SPANS_MS, sameMarket, type Choice, type Market } from "./choice.ts";
import { mergeCandles, mergeMarket, mergeTape } from "./store.ts";
import { Stream, type Handlers } from "./stream.ts";
import type * as told from "./told.ts";

export type Part =
  "symbols" | "tape" | "candles" | "market" | "model" | "books" | "alerts" | "markers" | "gaps" | "pulse";

export interface Known {
  symbols: readonly told.SymbolRow[];
  tape: readonly told.TapeTrade[];
  candles: readonly told.CandleRow[];
  windows: readonly told.WindowFigures[];
  market: told.MarketAnswer | null;
  model: told.ModelAnswer | null;
  books: told.CompletenessAnswer | null;
  alerts: readonly told.AlertRow[];
  markers: readonly told.Marker[];
  gaps: readonly told.GapRow[];
  /** The symbol on the chart alone, where it is not among those of `market`. */
  aside: told.MarketSeries | null;
  status: told.StatusAnswer | null;
  /** null: not yet. */
  isConnected: boolean | null;
  /** Why some question has no answer now, by its name. */
  refusals: ReadonlyMap<string, string>;
}

export function nothingKnown(): Known {
  const empty = { symbols: [], tape: [], candles: [], windows: [], alerts: [], markers: [], gaps: [] };
  const none = { market: null, aside: null, model: null, books: null, status: null };
  return { ...empty, ...none, isConnected: null, refusals: new Map() };
}

const OLDEST_CHART_MS = 3 * 3_600_000;
const REFRESH_MS = 15_000;
const ASIDE_MS = 5_000;

/** Return the span of the chart: that of the page, and live at least some hours, for the indicators to be seen. */
export function chartSpan(choice: Choice, now: number): { from: number; to: number } {
  if (choice.fixed) return choice.fixed;
  return { from: now - Math.max(SPANS_MS[choice.span], OLDEST_CHART_MS), to: now };
}

/** Return the questions' filters for trades. */
export function tradeFilters({ only, side, prediction, state }: Choice): Query {
  return { market_type: only[0]?.market_type, symbol: only.map((market) => market.symbol), side, prediction, state };
}

/** Return what of it still holds for another symbol on the chart, or for other filters too. */
export function remaining(known: Known, isOtherChart: boolean, areOtherFilters: boolean): Partial<Known> {
  const { symbols, model, status } = known;
  if (areOtherFilters) return { symbols, model, status };
  const { tape, market, books, alerts } = known;
  const chart = { candles: known.candles, windows: known.windows, markers: known.markers, gaps: known.gaps };
  return { symbols, model, status, tape, market, books, alerts, ...(isOtherChart ? {} : chart) };
}

export class Source {
  readonly known = nothingKnown();
  readonly #choice: Choice;
  readonly #focus: Market | null;
  readonly #tell: (part: Part) => void;
  readonly #ended = new AbortController();
  #stream: Stream | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #asideAt = 0;

  constructor(choice: Choice, focus: Market | null, before: Partial<Known>, tell: (part: Part) => void) {
    this.#choice = choice;
    this.#focus = focus;
    this.#tell = tell;
    Object.assign(this.known, before);
  }

  start(): void {
    if (this.#choice.fixed) this.#past(this.#choice.fixed);
    else this.#live();
    this.#chart();
  }

  end(): void {
    this.#ended.abort();
    this.#stream?.close();
    clearInterval(this.#timer);
  }

  #refused(name: string, why: string | null): void {
    if ((this.known.refusals.get(name) ?? null) === why) return;
    const refusals = new Map(this.known.refusals);
    if (why === null) refusals.delete(name);
    else refusals.set(name, why);
    this.#put("refusals", refusals, "pulse");
  }

  #put<Name extends keyof Known>(name: Name, value: Known[Name], part: Part): void {
    this.known[name] = value;
    this.#tell(part);
  }

  #live(): void {
    const query = {
      ...tradeFilters(this.#choice),
      window_ms: SPANS_MS[this.#choice.span],
      chart_market_type: this.#focus?.market_type,
      chart_symbol: this.#focus?.symbol,
    };
    this.#stream = new Stream(address("stream", query), this.#handlers(), (isOpen, times) => {
      this.#put("isConnected", isOpen, "pulse");
      if (isOpen && times > 1) this.#chart();
    });
    this.#timer = setInterval(() => this.#overlays(), REFRESH_MS);
  }

  #handlers(): Handlers {
    const known = this.known;
    const handlers: Handlers = {
      status: (event) => this.#status(event as told.StatusAnswer),
      symbols: (event) => this.#put("symbols", (event as told.SymbolsAnswer).symbols, "symbols"),
      tape: (event) => this.#put("tape", mergeTape(known.tape, event as told.TapeAnswer), "tape"),
      candle: (event) => this.#candles(event as told.CandlesAnswer),
      market: (event) => this.#market(mergeMarket(known.market, event as told.MarketAnswer)),
      model: (event) => this.#put("model", event as told.ModelAnswer, "model"),
      completeness: (event) => this.#put("books", event as told.CompletenessAnswer, "books"),
      alerts: (event) => this.#put("alerts", (event as told.AlertsAnswer).alerts, "alerts"),
      failed: (event) => this.#refused((event as told.FailedAnswer).event, (event as told.FailedAnswer).message),
    };
    const recovered = ([name, handle]: [string, (event: unknown) => void]) => [
      name,
      (event: unknown) => {
        handle(event);
        this.#refused(name, null);
      },
    ];
    return { ...(Object.fromEntries(Object.entries(handlers).map(recovered)) as Handlers), failed: handlers.failed };
  }

  #market(answer: told.MarketAnswer): void {
    this.#put("market", answer, "market");
    const focus = this.#focus;
    const now = Date.now();
    if (!focus || answer.series.some((one) => sameMarket(one, focus)) || now - this.#asideAt < ASIDE_MS) return;
    this.#asideAt = now;
    const { side, prediction, state } = this.#choice;
    const query = { ...focus, side, prediction, state, from: answer.from_at, to: answer.to_at };
    const take = (told: told.MarketAnswer) => this.#put("aside", told.series[0] ?? null, "market");
    this.#ask<told.MarketAnswer>("market", query, take);
  }

  #status(status: told.StatusAnswer): void {
    const wasAway = this.known.status?.elasticsearch === "away";
    this.#put("status", status, "pulse");
    if (wasAway && status.elasticsearch === "ok") this.#chart();
  }

  #candles(answer: told.CandlesAnswer): void {
    const { from } = chartSpan(this.#choice, Date.now());
    this.known.candles = mergeCandles(this.known.candles, answer, from);
    if (answer.windows.length) this.known.windows = answer.windows;
    this.#tell("candles");
  }

  /** What a span of the past holds, asked for once. */
  #past({ from, to }: { from: number; to: number }): void {
    const span = { from, to };
    const filters = tradeFilters(this.#choice);
    const { market_type, symbol } = filters;
    this.#ask<told.SymbolsAnswer>("symbols", {}, (answer) => this.#put("symbols", answer.symbols, "symbols"));
    this.#ask<told.MarketAnswer>("market", { ...span, ...filters }, (answer) => this.#market(answer));
    this.#ask<told.TapeAnswer>("tape", { ...span, ...filters }, (answer) => this.#put("tape", answer.trades, "tape"));
    this.#ask<told.ModelAnswer>("model", {}, (answer) => this.#put("model", answer, "model"));
    const places = { ...span, market_type, symbol };
    this.#ask<told.CompletenessAnswer>("completeness", places, (answer) => this.#put("books", answer, "books"));
    this.#ask<told.AlertsAnswer>("alerts", places, (answer) => this.#put("alerts", answer.alerts, "alerts"));
  }

  #chart(): void {
    const focus = this.#focus;
    if (!focus) return;
    const span = chartSpan(this.#choice, Date.now());
    this.#ask<told.CandlesAnswer>("candles", { ...focus, ...span }, (answer) => this.#candles(answer));
    this.#overlays();
  }

  /** Predictions and gaps on the chart: they follow the candles by minutes, so that a look now and then is enough. */
  #overlays(): void {
    const focus = this.#focus;
    if (!focus || document.hidden) return;
    const query = { ...focus, ...chartSpan(this.#choice, Date.now()) };
    this.#ask<told.MarkersAnswer>("markers", query, (answer) => this.#put("markers", answer.markers, "markers"));
    this.#ask<told.GapsAnswer>("gaps", query, (answer) => this.#put("gaps", answer.gaps, "gaps"));
  }

  #ask<Answer>(path: string, query: Query, take: (answer: Answer) => void): void {
    const refused = (why: string) => this.#refused(path, why);
    ask<Answer>(path, query, this.#ended.signal, refused).then(
      (answer) => {
        this.#refused(path, null);
        take(answer);
      },
      () => undefined,
    );
  }
}
