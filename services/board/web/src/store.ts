// What the page knows: answers and what the stream adds to them. Pure, and bounded whatever arrives.

import type { CandleRow, CandlesAnswer, MarketAnswer, MarketSeries, TapeAnswer, TapeTrade } from "./told.ts";

export const MOST_CANDLES = 1_500;
export const MOST_TRADES = 60;
const COLUMNS = [
  ...(["at", "trades", "price", "buy_trades", "sell_trades", "buy_price", "sell_price"] as const),
  ...(["buy_quantity", "sell_quantity", "up_trades", "down_trades", "up_price", "down_price"] as const),
  ...(["up_quantity", "down_quantity"] as const),
];

/** Return candles by time with the new ones in their places, none before `from`. */
export function mergeCandles(known: readonly CandleRow[], told: CandlesAnswer, from: number): CandleRow[] {
  const byMinute = new Map(known.map((candle) => [candle.at, candle]));
  for (const candle of told.candles) byMinute.set(candle.at, candle);
  const kept = [...byMinute.values()].filter((candle) => candle.at >= from);
  return kept.sort((one, other) => one.at - other.at).slice(-MOST_CANDLES);
}

function mergeSeries(known: MarketSeries | undefined, told: MarketSeries, from: number): MarketSeries {
  const places = new Map<number, [MarketSeries, number]>();
  for (const series of [known, told]) {
    if (series) for (const [index, at] of series.at.entries()) if (at >= from) places.set(at, [series, index]);
  }
  const order = [...places.keys()].sort((one, other) => one - other);
  const merged: Record<string, unknown> = { market_type: told.market_type, symbol: told.symbol };
  for (const column of COLUMNS) {
    merged[column] = order.map((at) => {
      const [series, index] = places.get(at) as [MarketSeries, number];
      return series[column][index] as number | null;
    });
  }
  return merged as unknown as MarketSeries;
}

/** Return the market with the changed buckets in their places. */
export function mergeMarket(known: MarketAnswer | null, told: MarketAnswer): MarketAnswer {
  if (told.is_whole || known === null || known.interval_ms !== told.interval_ms) return told;
  const from = told.from_at - (told.from_at % told.interval_ms);
  const before = new Map(known.series.map((series) => [`${series.market_type}:${series.symbol}`, series]));
  const now = new Map(told.series.map((series) => [`${series.market_type}:${series.symbol}`, series]));
  const series = told.totals.flatMap(({ market_type, symbol }) => {
    const key = `${market_type}:${symbol}`;
    const old = before.get(key);
    const fresh = now.get(key);
    if (fresh) return [mergeSeries(old, fresh, from)];
    return old ? [(old.at[0] ?? from) >= from ? old : mergeSeries(undefined, old, from)] : [];
  });
  return { ...told, series, is_whole: true };
}

/** Return the newest trades, newest first. */
export function mergeTape(known: readonly TapeTrade[], told: TapeAnswer): TapeTrade[] {
  if (told.is_whole) return told.trades.slice(0, MOST_TRADES);
  return [...told.trades, ...known].slice(0, MOST_TRADES);
}
