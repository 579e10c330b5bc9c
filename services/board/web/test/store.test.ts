import assert from "node:assert/strict";
import { test } from "node:test";

import { MOST_CANDLES, MOST_TRADES, mergeCandles, mergeMarket, mergeTape } from "../src/store.ts";
import type { CandleRow, CandlesResponse, MarketResponse, MarketSeries, TapeTrade } from "../src/api.ts";
import { instrumentOf } from "../src/instrument.ts";

const MINUTE = 60_000;

function candle(at: number, close = 1): CandleRow {
  return { at, close } as CandleRow;
}

function candles(...rows: CandleRow[]): CandlesResponse {
  const rest = { windows: [], is_truncated: false, is_snapshot: false };
  return { venue: "bybit", market_type: "spot", symbol: "A", candles: rows, ...rest };
}

function series(symbol: string, at: number[], price: number[], venue = "bybit"): MarketSeries {
  const nulls = at.map(() => null);
  const zeros = at.map(() => 0);
  return {
    venue,
    market_type: "spot",
    symbol,
    at,
    trades: zeros,
    price,
    buy_trades: zeros,
    sell_trades: zeros,
    buy_price: nulls,
    sell_price: nulls,
    buy_quantity: zeros,
    sell_quantity: zeros,
    up_trades: zeros,
    down_trades: zeros,
    up_price: nulls,
    down_price: nulls,
    up_quantity: zeros,
    down_quantity: zeros,
  };
}

function market(from_at: number, is_snapshot: boolean, ...all: MarketSeries[]): MarketResponse {
  const totals = all.map((one) => instrumentOf(one) as MarketResponse["totals"][number]);
  const sums = { trades: 0, buy_trades: 0, sell_trades: 0, is_truncated: false };
  return { ...sums, from_at, to_at: from_at + 100, interval_ms: 10, series: all, totals, is_snapshot };
}

test("an updated candle replaces the previous one, and a late one is inserted", () => {
  const known = mergeCandles([], candles(candle(0), candle(2 * MINUTE, 5)), 0);
  const merged = mergeCandles(known, candles(candle(2 * MINUTE, 6), candle(MINUTE, 7)), 0);
  assert.deepEqual(
    merged.map((one) => [one.at, one.close]),
    [
      [0, 1],
      [MINUTE, 7],
      [2 * MINUTE, 6],
    ],
  );
});

test("candles before the span are dropped, and the limit holds", () => {
  const many = Array.from({ length: MOST_CANDLES + 50 }, (_, index) => candle(index * MINUTE));
  assert.equal(mergeCandles([], candles(...many), 0).length, MOST_CANDLES);
  assert.equal(mergeCandles(many, candles(), MOST_CANDLES * MINUTE)[0]?.at, MOST_CANDLES * MINUTE);
});

test("changed buckets are replaced, and buckets before the span are dropped", () => {
  const known = market(0, true, series("A", [0, 10, 20], [1, 2, 3]), series("B", [20], [9]));
  const update = market(10, false, series("A", [20, 30], [4, 5]));
  update.totals = known.totals;
  const merged = mergeMarket(known, update);
  assert.deepEqual(
    merged.series.map(({ symbol, at, price }) => [symbol, at, price]),
    [
      ["A", [10, 20, 30], [2, 4, 5]],
      ["B", [20], [9]],
    ],
  );
});

test("buckets of the same symbol at two venues are not merged", () => {
  const known = market(0, true, series("A", [0], [1]), series("A", [0], [9], "other"));
  const update = market(0, false, series("A", [10], [2], "other"));
  update.totals = known.totals;
  const merged = mergeMarket(known, update);
  assert.deepEqual(
    merged.series.map(({ venue, at, price }) => [venue, at, price]),
    [
      ["bybit", [0], [1]],
      ["other", [0, 10], [9, 2]],
    ],
  );
});

test("a snapshot replaces the state, and so does a delta with another bucket length", () => {
  const known = market(0, true, series("A", [0], [1]));
  const other = { ...market(0, false, series("B", [0], [1])), interval_ms: 20 };
  assert.equal(mergeMarket(known, other), other);
  const snapshot = market(0, true);
  assert.equal(mergeMarket(known, snapshot), snapshot);
});

test("the tape is bounded, newest first", () => {
  const trade = (id: number) => ({ trade_id: String(id) }) as TapeTrade;
  const known = Array.from({ length: MOST_TRADES }, (_, index) => trade(100 - index));
  const merged = mergeTape(known, { trades: [trade(102), trade(101)], is_truncated: false, is_snapshot: false });
  assert.deepEqual(
    merged.slice(0, 3).map((one) => one.trade_id),
    ["102", "101", "100"],
  );
  assert.equal(merged.length, MOST_TRADES);
  assert.equal(mergeTape(known, { trades: [trade(1)], is_truncated: false, is_snapshot: true }).length, 1);
});
