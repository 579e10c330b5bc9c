// What a person has chosen, and its form in the address: pure, so that a reload or a link shows the same page.

import type { MarketType, PredictionState, Side } from "./told.ts";

export const SPANS_MS = { "15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000 } as const;
export type SpanName = keyof typeof SPANS_MS;
export const SPAN_NAMES = Object.keys(SPANS_MS) as SpanName[];
export const STATES: readonly PredictionState[] = [
  "ok",
  "warming_up",
  "late",
  "model_unavailable",
  "model_expired",
  "invalid_features",
];
export const LANGUAGES = ["en", "it"] as const;
export type Language = (typeof LANGUAGES)[number];
export const THEMES = ["light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export interface Market {
  market_type: MarketType;
  symbol: string;
}

export interface Choice {
  /** On the chart; null: the most active one. */
  focus: Market | null;
  /** Length of the live span. */
  span: SpanName;
  /** A span of the past instead of the live one. */
  fixed: { from: number; to: number } | null;
  /** The only symbols of views and tape; all of one market_type; empty: the most active ones. */
  only: readonly Market[];
  side: Side | null;
  prediction: 0 | 1 | null;
  state: PredictionState | null;
  /** Figures instead of pictures. */
  numbers: boolean;
  language: Language | null;
  theme: Theme | null;
}

export const DEFAULT: Choice = {
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

/** Return only what names a market of something that says more of it. */
export function marketOf({ market_type, symbol }: Market): Market {
  return { market_type, symbol };
}

export function keyOf(market: Market): string {
  return `${market.market_type}:${market.symbol}`;
}

/** Return the name for people: spot is what is meant when nothing is said. */
export function nameOf({ market_type, symbol }: Market): string {
  return market_type === "spot" ? symbol : `${symbol} ${market_type}`;
}

export function sameMarket(one: Market | null, other: Market | null): boolean {
  return one?.market_type === other?.market_type && one?.symbol === other?.symbol;
}

export function readMarket(text: string | null): Market | null {
  const match = /^(spot|linear):([A-Za-z0-9._-]{1,40})$/.exec(text ?? "");
  return match ? { market_type: match[1] as MarketType, symbol: match[2] as string } : null;
}

function oneOf<T extends string>(value: string | null, values: readonly T[]): T | null {
  return values.find((known) => known === value) ?? null;
}

/** Read the address; what it says wrongly is as if it were not there. */
export function readChoice(search: string): Choice {
  const query = new URLSearchParams(search);
  const from = Number(query.get("from"));
  const to = Number(query.get("to"));
  const prediction = oneOf(query.get("prediction"), ["up", "down"]);
  const markets = (query.get("only") ?? "")
    .split(",")
    .map(readMarket)
    .filter((market) => market !== null);
  return {
    focus: readMarket(query.get("symbol")),
    span: oneOf(query.get("span"), SPAN_NAMES) ?? DEFAULT.span,
    fixed: Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && to > from ? { from, to } : null,
    only: markets.filter((market) => market.market_type === markets[0]?.market_type).slice(0, MOST_ONLY),
    side: oneOf(query.get("side"), ["Buy", "Sell"]),
    prediction: prediction === null ? null : prediction === "up" ? 1 : 0,
    state: oneOf(query.get("state"), STATES),
    numbers: query.get("numbers") === "1",
    language: oneOf(query.get("lang"), LANGUAGES),
    theme: oneOf(query.get("theme"), THEMES),
  };
}

/** Return the search part of the address, empty where everything is as it is by itself. */
export function writeChoice(choice: Choice): string {
  const query = new URLSearchParams();
  if (choice.focus) query.set("symbol", keyOf(choice.focus));
  if (choice.fixed) {
    query.set("from", String(choice.fixed.from));
    query.set("to", String(choice.fixed.to));
  } else if (choice.span !== DEFAULT.span) query.set("span", choice.span);
  if (choice.only.length) query.set("only", choice.only.map(keyOf).join(","));
  if (choice.side) query.set("side", choice.side);
  if (choice.prediction !== null) query.set("prediction", choice.prediction === 1 ? "up" : "down");
  if (choice.state) query.set("state", choice.state);
  if (choice.numbers) query.set("numbers", "1");
  if (choice.language) query.set("lang", choice.language);
  if (choice.theme) query.set("theme", choice.theme);
  const text = query.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  return text ? `?${text}` : "";
}

/** Return the choice with a market added to, or taken from, the only ones shown; they are of one market_type. */
export function toggleOnly(choice: Choice, market: Market): Choice {
  const rest = choice.only.filter((one) => !sameMarket(one, market));
  if (rest.length < choice.only.length) return { ...choice, only: rest };
  const alike = rest.filter((one) => one.market_type === market.market_type);
  return { ...choice, only: [...alike, marketOf(market)].slice(-MOST_ONLY) };
}
