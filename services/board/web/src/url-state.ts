// State of the page in the URL: filters, focus, span, language, theme. Pure. A reload or a link shows the same page.

import { PREDICTION_STATES, SIDES, type PredictionState, type Side } from "./api.ts";
import { instrumentOf, isSameInstrument, keyOf, parseInstrument, type Instrument } from "./instrument.ts";

export const SPANS_MS = { "15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000 } as const;
export type SpanName = keyof typeof SPANS_MS;
export const SPAN_NAMES = Object.keys(SPANS_MS) as SpanName[];
export const LANGUAGES = ["en", "it"] as const;
export type Language = (typeof LANGUAGES)[number];
export const THEMES = ["light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export interface UrlState {
  /** On the chart; null: the most active instrument. */
  focus: Instrument | null;
  /** Length of the live span. */
  span: SpanName;
  /** A span of the past instead of the live one. */
  fixed: { from: number; to: number } | null;
  /** Filter of views and tape; empty: the most active instruments. */
  only: readonly Instrument[];
  side: Side | null;
  prediction: 0 | 1 | null;
  state: PredictionState | null;
  /** Tables instead of charts. */
  numbers: boolean;
  language: Language | null;
  theme: Theme | null;
}

export const DEFAULT_STATE: UrlState = {
  focus: null,
  span: "1h",
  fixed: null,
  only: [],
  side: null,
  prediction: null,
  state: null,
  numbers: false,
  language: null,
  theme: null,
};

const MOST_ONLY = 12;

function oneOf<T extends string>(value: string | null, values: readonly T[]): T | null {
  return values.find((known) => known === value) ?? null;
}

/** Parse the search part of the URL; invalid parameters are ignored. */
export function readUrlState(search: string): UrlState {
  const query = new URLSearchParams(search);
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  const prediction = oneOf(query.get("prediction"), ["up", "down"]);
  const only = query.getAll("only").map(parseInstrument);
  return {
    focus: parseInstrument(query.get("instrument")),
    span: oneOf(query.get("span"), SPAN_NAMES) ?? DEFAULT_STATE.span,
    fixed: Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && to > from ? { from, to } : null,
    only: only.filter((instrument) => instrument !== null).slice(0, MOST_ONLY),
    side: oneOf(query.get("side"), SIDES),
    prediction: prediction === null ? null : prediction === "up" ? 1 : 0,
    state: oneOf(query.get("state"), PREDICTION_STATES),
    numbers: query.get("numbers") === "1",
    language: oneOf(query.get("lang"), LANGUAGES),
    theme: oneOf(query.get("theme"), THEMES),
  };
}

/** Return the search part of the URL, empty for the default state. */
export function writeUrlState(urlState: UrlState): string {
  const query = new URLSearchParams();
  if (urlState.focus) query.set("instrument", keyOf(urlState.focus));
  if (urlState.fixed) {
    query.set("from", String(urlState.fixed.from));
    query.set("to", String(urlState.fixed.to));
  } else if (urlState.span !== DEFAULT_STATE.span) query.set("span", urlState.span);
  for (const instrument of urlState.only) query.append("only", keyOf(instrument));
  if (urlState.side) query.set("side", urlState.side);
  if (urlState.prediction !== null) query.set("prediction", urlState.prediction === 1 ? "up" : "down");
  if (urlState.state) query.set("state", urlState.state);
  if (urlState.numbers) query.set("numbers", "1");
  if (urlState.language) query.set("lang", urlState.language);
  if (urlState.theme) query.set("theme", urlState.theme);
  // A query may hold a colon as it is: https://datatracker.ietf.org/doc/html/rfc3986#section-3.4
  const text = query.toString().replaceAll("%3A", ":");
  return text ? `?${text}` : "";
}

/** Return the state with an instrument added to, or removed from, the filter. */
export function toggleOnly(urlState: UrlState, instrument: Instrument): UrlState {
  const rest = urlState.only.filter((one) => !isSameInstrument(one, instrument));
  if (rest.length < urlState.only.length) return { ...urlState, only: rest };
  return { ...urlState, only: [...rest, instrumentOf(instrument)].slice(-MOST_ONLY) };
}
