// Loads the data of the page: from the stream while the span is live, from the API for a span of the past. Calls
// `onChange` for each changed part.

import { apiUrl, request, type Query } from "./request.ts";
import { isSameInstrument, keyOf, type Instrument } from "./instrument.ts";
import { SPANS_MS, type UrlState } from "./url-state.ts";
import { mergeCandles, mergeMarket, mergeTape } from "./store.ts";
import { Stream, type Handlers } from "./stream.ts";
import type * as api from "./api.ts";

export type Part =
  "symbols" | "tape" | "candles" | "market" | "model" | "reconciliation" | "alerts" | "markers" | "gaps" | "connection";

export interface PageData {
  symbols: readonly api.SymbolRow[];
  tape: readonly api.TapeTrade[];
  candles: readonly api.CandleRow[];
  windows: readonly api.RollingWindow[];
  market: api.MarketResponse | null;
  model: api.ModelResponse | null;
  reconciliation: api.ReconciliationResponse | null;
  alerts: readonly api.AlertRow[];
  markers: readonly api.Marker[];
  gaps: readonly api.GapRow[];
  /** Series of the instrument on the chart, where `market` lacks that instrument. */
  focusedSeries: api.MarketSeries | null;
  status: api.StatusResponse | null;
  /** null: not connected yet. */
  isConnected: boolean | null;
  /** Errors of the queries that fail now, by name. */
  failures: ReadonlyMap<string, string>;
}

export function emptyData(): PageData {
  const empty = { symbols: [], tape: [], candles: [], windows: [], alerts: [], markers: [], gaps: [] };
  const none = { market: null, focusedSeries: null, model: null, reconciliation: null, status: null };
  return { ...empty, ...none, isConnected: null, failures: new Map() };
}

const OLDEST_CHART_MS = 3 * 3_600_000;
const REFRESH_MS = 15_000;
const FOCUSED_SERIES_MS = 5_000;

/** Return the span of the chart: the span of the page; live at least some hours, for the indicators to warm up. */
export function chartSpan(urlState: UrlState, now: number): { from: number; to: number } {
  if (urlState.fixed) return urlState.fixed;
  return { from: now - Math.max(SPANS_MS[urlState.span], OLDEST_CHART_MS), to: now };
}

/** Return the query parameters that filter trades. */
export function tradeFilters({ only, side, prediction, state }: UrlState): Query {
  return { instrument: only.map(keyOf), side, prediction, state };
}

/** Return the data that stays valid for another instrument on the chart, or for other filters too. */
export function retainedData(known: PageData, isOtherChart: boolean, areOtherFilters: boolean): Partial<PageData> {
  const { symbols, model, status } = known;
  if (areOtherFilters) return { symbols, model, status };
  const { tape, market, reconciliation, alerts } = known;
  const chart = { candles: known.candles, windows: known.windows, markers: known.markers, gaps: known.gaps };
  return { symbols, model, status, tape, market, reconciliation, alerts, ...(isOtherChart ? {} : chart) };
}

export class DataSource {
  readonly known = emptyData();
  readonly #urlState: UrlState;
  readonly #focus: Instrument | null;
  readonly #onChange: (part: Part) => void;
  readonly #ended = new AbortController();
  #stream: Stream | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #focusedSeriesAt = 0;

  constructor(urlState: UrlState, focus: Instrument | null, before: Partial<PageData>, onChange: (part: Part) => void) {
    this.#urlState = urlState;
    this.#focus = focus;
    this.#onChange = onChange;
    Object.assign(this.known, before);
  }

  start(): void {
    if (this.#urlState.fixed) this.#past(this.#urlState.fixed);
    else this.#live();
    this.#chart();
  }

  end(): void {
    this.#ended.abort();
    this.#stream?.close();
    clearInterval(this.#timer);
  }

  #setFailure(name: string, reason: string | null): void {
    if ((this.known.failures.get(name) ?? null) === reason) return;
    const failures = new Map(this.known.failures);
    if (reason === null) failures.delete(name);
    else failures.set(name, reason);
    this.#put("failures", failures, "connection");
  }

  #put<Name extends keyof PageData>(name: Name, value: PageData[Name], part: Part): void {
    this.known[name] = value;
    this.#onChange(part);
  }

  #live(): void {
    const query = {
      ...tradeFilters(this.#urlState),
      window_ms: SPANS_MS[this.#urlState.span],
      chart_instrument: this.#focus && keyOf(this.#focus),
    };
    this.#stream = new Stream(apiUrl("stream", query), this.#handlers(), (isOpen, times) => {
      this.#put("isConnected", isOpen, "connection");
      if (isOpen && times > 1) this.#chart();
    });
    this.#timer = setInterval(() => this.#overlays(), REFRESH_MS);
  }

  #handlers(): Handlers {
    const known = this.known;
    const handlers: Handlers = {
      status: (event) => this.#status(event as api.StatusResponse),
      symbols: (event) => this.#put("symbols", (event as api.SymbolsResponse).symbols, "symbols"),
      tape: (event) => this.#put("tape", mergeTape(known.tape, event as api.TapeResponse), "tape"),
      candle: (event) => this.#candles(event as api.CandlesResponse),
      market: (event) => this.#market(mergeMarket(known.market, event as api.MarketResponse)),
      model: (event) => this.#put("model", event as api.ModelResponse, "model"),
      reconciliation: (event) => this.#put("reconciliation", event as api.ReconciliationResponse, "reconciliation"),
      alerts: (event) => this.#put("alerts", (event as api.AlertsResponse).alerts, "alerts"),
      failed: (event) => this.#setFailure((event as api.FailedEvent).event, (event as api.FailedEvent).message),
    };
    const recovered = ([name, handle]: [string, (event: unknown) => void]) => [
      name,
      (event: unknown) => {
        handle(event);
        this.#setFailure(name, null);
      },
    ];
    return { ...(Object.fromEntries(Object.entries(handlers).map(recovered)) as Handlers), failed: handlers.failed };
  }

  #market(response: api.MarketResponse): void {
    this.#put("market", response, "market");
    const focus = this.#focus;
    const now = Date.now();
    if (!focus || response.series.some((one) => isSameInstrument(one, focus))) return;
    if (now - this.#focusedSeriesAt < FOCUSED_SERIES_MS) return;
    this.#focusedSeriesAt = now;
    const { side, prediction, state } = this.#urlState;
    const span = { from: response.from_at, to: response.to_at };
    const query = { instrument: keyOf(focus), side, prediction, state, ...span };
    const apply = (one: api.MarketResponse) => this.#put("focusedSeries", one.series[0] ?? null, "market");
    this.#request<api.MarketResponse>("market", query, apply);
  }

  #status(status: api.StatusResponse): void {
    const wasAway = this.known.status?.elasticsearch === "unavailable";
    this.#put("status", status, "connection");
    if (wasAway && status.elasticsearch === "available") this.#chart();
  }

  #candles(response: api.CandlesResponse): void {
    const { from } = chartSpan(this.#urlState, Date.now());
    this.known.candles = mergeCandles(this.known.candles, response, from);
    if (response.windows.length) this.known.windows = response.windows;
    this.#onChange("candles");
  }

  /** Load a span of the past once. */
  #past({ from, to }: { from: number; to: number }): void {
    const span = { from, to };
    const filters = tradeFilters(this.#urlState);
    this.#request<api.SymbolsResponse>("symbols", {}, (response) => this.#put("symbols", response.symbols, "symbols"));
    this.#request<api.MarketResponse>("market", { ...span, ...filters }, (response) => this.#market(response));
    this.#request<api.TapeResponse>("tape", { ...span, ...filters }, ({ trades }) => this.#put("tape", trades, "tape"));
    this.#request<api.ModelResponse>("model", {}, (response) => this.#put("model", response, "model"));
    const places = { ...span, instrument: filters.instrument };
    this.#request<api.ReconciliationResponse>("reconciliation", places, (response) =>
      this.#put("reconciliation", response, "reconciliation"),
    );
    this.#request<api.AlertsResponse>("alerts", places, (response) => this.#put("alerts", response.alerts, "alerts"));
  }

  #chart(): void {
    const focus = this.#focus;
    if (!focus) return;
    const span = chartSpan(this.#urlState, Date.now());
    this.#request<api.CandlesResponse>("candles", { instrument: keyOf(focus), ...span }, (response) => this.#candles(response));
    this.#overlays();
  }

  /** Load predictions and gaps of the chart; both lag the candles by minutes, so that a slow refresh is enough. */
  #overlays(): void {
    const focus = this.#focus;
    if (!focus || document.hidden) return;
    const query = { instrument: keyOf(focus), ...chartSpan(this.#urlState, Date.now()) };
    this.#request<api.MarkersResponse>("markers", query, ({ markers }) => this.#put("markers", markers, "markers"));
    this.#request<api.GapsResponse>("gaps", query, (response) => this.#put("gaps", response.gaps, "gaps"));
  }

  #request<Content>(path: string, query: Query, apply: (content: Content) => void): void {
    const onError = (reason: string) => this.#setFailure(path, reason);
    request<Content>(path, query, this.#ended.signal, onError).then(
      (response) => {
        this.#setFailure(path, null);
        apply(response);
      },
      () => undefined,
    );
  }
}
