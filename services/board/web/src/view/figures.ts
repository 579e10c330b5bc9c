// Tables of the six views. Pure.

import { keyOf, nameOf, type Instrument } from "../instrument.ts";
import * as format from "../format.ts";
import type { MarketResponse, MarketSeries, MarketTotal } from "../api.ts";
import { t } from "../i18n.ts";
import { priceChange } from "./multiples.ts";
import type { Cell, Figures } from "./table.ts";

/** Newest buckets in the tables over time. */
const MOST_BUCKETS = 12;

function name(instrument: Instrument): Cell {
  return { text: nameOf(instrument), value: keyOf(instrument) };
}

function cell(value: number | null | undefined, write: (value: number | null | undefined) => string): Cell {
  return { text: write(value), value: value ?? null };
}

export function priceFigures(response: MarketResponse): Figures {
  return {
    head: [t("symbol"), t("price"), t("change")],
    rows: response.series.map((series) => {
      const found = priceChange(series);
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
    head: [t("time"), t("bought"), t("sold"), t("difference")],
    rows: overTime(series, (index) => {
      const [bought, sold] = [series.buy_price[index] ?? null, series.sell_price[index] ?? null];
      return [price(bought), price(sold), cell(differenceBp(bought, sold), format.basisPoints)];
    }),
  };
}

export function predictionFigures(series: MarketSeries): Figures {
  const price = (value: number | null | undefined) => cell(value, (v) => format.price(v));
  return {
    head: [t("time"), t("price"), t("predictedUp"), t("predictedDown")],
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

export function shareFigures(response: MarketResponse): Figures {
  return {
    head: [t("symbol"), t("bought"), t("sold"), t("share")],
    rows: response.totals.map((total) => [
      name(total),
      cell(total.buy_trades, format.count),
      cell(total.sell_trades, format.count),
      cell(buyShare(total), format.percent),
    ]),
  };
}

export function activeFigures(response: MarketResponse): Figures {
  return {
    head: [t("symbol"), t("trades"), t("share")],
    rows: response.totals.map((total) => [
      name(total),
      cell(total.trades, format.count),
      cell(response.trades ? total.trades / response.trades : null, format.percent),
    ]),
  };
}

export function volumeFigures(response: MarketResponse): Figures {
  return {
    head: [t("symbol"), t("predictedUp"), t("predictedDown"), t("noPrediction")],
    rows: response.totals.map((total) => [
      name(total),
      cell(total.up_quantity_mean, format.short),
      cell(total.down_quantity_mean, format.short),
      cell(total.other_quantity_mean, format.short),
    ]),
  };
}
