// The six views in figures: pure.

import { keyOf, nameOf, type Market } from "../choice.ts";
import * as format from "../format.ts";
import type { MarketAnswer, MarketSeries, MarketTotal } from "../told.ts";
import { say } from "../words.ts";
import { course } from "./multiples.ts";
import type { Cell, Figures } from "./table.ts";

/** Newest buckets in the tables over time. */
const MOST_BUCKETS = 12;

function name(market: Market): Cell {
  return { text: nameOf(market), value: keyOf(market) };
}

function cell(value: number | null | undefined, write: (value: number | null | undefined) => string): Cell {
  return { text: write(value), value: value ?? null };
}

export function priceFigures(answer: MarketAnswer): Figures {
  return {
    head: [say("symbol"), say("price"), say("change")],
    rows: answer.series.map((series) => {
      const found = course(series);
      return [name(series), cell(found?.last, (v) => format.price(v)), cell(found?.change_bp, format.basisPoints)];
    }),
  };
}

/** Return how many basis points the first price is above the second. */
export function differenceBp(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : (one / other - 1) * 10_000;
}

function overTime(series: MarketSeries, row: (index: number) => Cell[]): Cell[][] {
  const newest = series.at.map((_, index) => index).slice(-MOST_BUCKETS);
  return newest.reverse().map((index) => {
    const at = series.at[index] as number;
    return [{ text: format.time(at, true), value: at }, ...row(index)];
  });
}

export function medianFigures(series: MarketSeries): Figures {
  const price = (value: number | null | undefined) => cell(value, (v) => format.price(v));
  return {
    head: [say("time"), say("bought"), say("sold"), say("difference")],
    rows: overTime(series, (index) => {
      const [bought, sold] = [series.buy_price[index] ?? null, series.sell_price[index] ?? null];
      return [price(bought), price(sold), cell(differenceBp(bought, sold), format.basisPoints)];
    }),
  };
}

export function predictionFigures(series: MarketSeries): Figures {
  const price = (value: number | null | undefined) => cell(value, (v) => format.price(v));
  return {
    head: [say("time"), say("price"), say("predictedUp"), say("predictedDown")],
    rows: overTime(series, (index) => [
      price(series.price[index]),
      price(series.up_price[index]),
      price(series.down_price[index]),
    ]),
  };
}

/** Return the share of buying, null without trades. */
export function buyShare(total: MarketTotal): number | null {
  return total.trades ? total.buy_trades / total.trades : null;
}

export function shareFigures(answer: MarketAnswer): Figures {
  return {
    head: [say("symbol"), say("bought"), say("sold"), say("share")],
    rows: answer.totals.map((total) => [
      name(total),
      cell(total.buy_trades, format.count),
      cell(total.sell_trades, format.count),
      cell(buyShare(total), format.percent),
    ]),
  };
}

export function activeFigures(answer: MarketAnswer): Figures {
  return {
    head: [say("symbol"), say("trades"), say("share")],
    rows: answer.totals.map((total) => [
      name(total),
      cell(total.trades, format.count),
      cell(answer.trades ? total.trades / answer.trades : null, format.percent),
    ]),
  };
}

export function volumeFigures(answer: MarketAnswer): Figures {
  return {
    head: [say("symbol"), say("predictedUp"), say("predictedDown"), say("noPrediction")],
    rows: answer.totals.map((total) => [
      name(total),
      cell(total.up_quantity_mean, format.short),
      cell(total.down_quantity_mean, format.short),
      cell(total.other_quantity_mean, format.short),
    ]),
  };
}
