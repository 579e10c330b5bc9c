// Converts candles, gaps and markers for the chart. Pure. A minute without a candle stays empty on the time axis.

import type { Time, UTCTimestamp } from "lightweight-charts";

import type { CandleRow, GapRow, Marker } from "../api.ts";

export const MINUTE_MS = 60_000;

export function chartTime(at: number): UTCTimestamp {
  return (at / 1000) as UTCTimestamp;
}

export function timeOf(time: Time): number {
  return (time as number) * 1000;
}

export interface Slot {
  at: number;
  candle: CandleRow | null;
}

/** Return every minute from the first candle to the last, with its candle or without one. */
export function slots(candles: readonly CandleRow[]): Slot[] {
  const all: Slot[] = [];
  for (const candle of candles) {
    const last = all.at(-1);
    for (let at = (last?.at ?? candle.at) + MINUTE_MS; last && at < candle.at; at += MINUTE_MS) {
      all.push({ at, candle: null });
    }
    all.push({ at: candle.at, candle });
  }
  return all;
}

/** Return the minutes that a gap touches. */
export function gapMinutes(gap: GapRow): { from: number; to: number } {
  const from = gap.from_traded_at - (gap.from_traded_at % MINUTE_MS);
  return { from, to: gap.to_traded_at - (gap.to_traded_at % MINUTE_MS) };
}

export interface Arrow {
  at: number;
  up: boolean;
  /** null: not known yet. */
  right: boolean | null;
}

/** Return one arrow for each minute whose predictions lean clearly one way, at most `most`, the newest. */
export function arrows(markers: readonly Marker[], most: number): Arrow[] {
  const clear = markers.flatMap((marker) => {
    const share = marker.predictions ? marker.ups / marker.predictions : 0.5;
    if (Math.abs(share - 0.5) < 0.05) return [];
    return [{ at: marker.at, up: share > 0.5, right: marker.scored ? marker.hits * 2 >= marker.scored : null }];
  });
  return clear.slice(-most);
}
