// Merges deltas of the stream into the data of the page. Pure and bounded.

import type { CandleRow, CandlesResponse, MarketResponse, MarketSeries, TapeResponse, TapeTrade } from "./api.ts";
import { instrumentOf, keyOf } from "./instrument.ts";

export const MOST_CANDLES = 1_500;
export const MOST_TRADES = 60;
const COLUMNS = [
  ...(["at", "trades", "price", "buy_trades", "sell_trades", "buy_price", "sell_price"] as const),
  ...(["buy_quantity", "sell_quantity", "up_trades", "down_trades", "up_price", "down_price"] as const),
  ...(["up_quantity", "down_quantity"] as const),
];

/** Return candles by time, updated ones replaced, none before `from`. */
export function mergeCandles(known: readonly CandleRow[], update: CandlesResponse, from: number): CandleRow[] {
  const byMinute = new Map(known.map((candle) => [candle.at, candle]));
  for (const candle of update.candles) byMinute.set(candle.at, candle);
  const kept = [...byMinute.values()].filter((candle) => candle.at >= from);
  return kept.sort((one, other) => one.at - other.at).slice(-MOST_CANDLES);
}

function mergeSeries(known: MarketSeries | undefined, update: MarketSeries, from: number): MarketSeries {
  const places = new Map<number, [MarketSeries, number]>();
  for (const series of [known, update]) {
    if (series) for (const [index, at] of series.at.entries()) if (at >= from) places.set(at, [series, index]);
  }
  const order = [...places.keys()].sort((one, other) => one - other);
  const merged: Record<string, unknown> = { ...instrumentOf(update) };
  for (const column of COLUMNS) {
    merged[column] = order.map((at) => {
      const [series, index] = places.get(at) as [MarketSeries, number];
      return series[column][index] as number | null;
    });
  }
  return merged as unknown as MarketSeries;
}

/** Return the market with the changed buckets replaced. */
export function mergeMarket(known: MarketResponse | null, update: MarketResponse): MarketResponse {
  if (update.is_snapshot || known === null || known.interval_ms !== update.interval_ms) return update;
  const from = update.from_at - (update.from_at % update.interval_ms);
  const before = new Map(known.series.map((series) => [keyOf(series), series]));
  const now = new Map(update.series.map((series) => [keyOf(series), series]));
  const series = update.totals.flatMap((total) => {
    const key = keyOf(total);
    const old = before.get(key);
    const fresh = now.get(key);
    if (fresh) return [mergeSeries(old, fresh, from)];
    return old ? [(old.at[0] ?? from) >= from ? old : mergeSeries(undefined, old, from)] : [];
  });
  return { ...update, series, is_snapshot: true };
}

/** Return the newest trades, newest first. */
export function mergeTape(known: readonly TapeTrade[], update: TapeResponse): TapeTrade[] {
  if (update.is_snapshot) return update.trades.slice(0, MOST_TRADES);
  return [...update.trades, ...known].slice(0, MOST_TRADES);
}
