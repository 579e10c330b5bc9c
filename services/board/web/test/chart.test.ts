import assert from "node:assert/strict";
import { test } from "node:test";

import { commands, extent } from "../src/chart/plot.ts";
import { arrows, gapMinutes, slots } from "../src/chart/series.ts";
import type { CandleRow, GapRow, Marker } from "../src/api.ts";

const MINUTE = 60_000;

function marker(at: number, predictions: number, ups: number, scored = 0, hits = 0): Marker {
  return { at, predictions, ups, mean_probability: null, scored, hits };
}

test("minutes without a candle are empty slots on the axis", () => {
  const candles = [0, MINUTE, 4 * MINUTE].map((at) => ({ at }) as CandleRow);
  const shown = slots(candles).map(({ at, candle }) => [at / MINUTE, candle !== null]);
  assert.deepEqual(shown, [
    [0, true],
    [1, true],
    [2, false],
    [3, false],
    [4, true],
  ]);
});

test("an arrow stands where predictions lean clearly one way, with its outcome if known", () => {
  const markers = [marker(0, 10, 9, 10, 6), marker(1, 10, 5), marker(2, 10, 1), marker(3, 10, 0, 10, 4)];
  assert.deepEqual(arrows(markers, 10), [
    { at: 0, up: true, right: true },
    { at: 2, up: false, right: null },
    { at: 3, up: false, right: false },
  ]);
  assert.deepEqual(
    arrows(markers, 1).map((arrow) => arrow.at),
    [3],
  );
});

test("a gap covers the minutes of both of its ends", () => {
  const gap = { from_traded_at: 61_000, to_traded_at: 185_000 } as GapRow;
  assert.deepEqual(gapMinutes(gap), { from: MINUTE, to: 3 * MINUTE });
});

test("a line breaks where values are missing for longer than the bridge", () => {
  const line = { name: "", tone: "", at: [0, 1, 2, 9], values: [1, null, 3, 4] };
  assert.equal(
    commands(
      line,
      (at) => at,
      (value) => value,
      3,
    ),
    "M0.0 1.0L2.0 3.0M9.0 4.0",
  );
});

test("the scale has a margin around the values, also around a single value, and a default without any", () => {
  assert.deepEqual(extent([]), [0, 1]);
  const [low, high] = extent([10, null, 20]);
  assert.ok(low < 10 && low > 8 && high > 20 && high < 22);
  const [under, over] = extent([5]);
  assert.ok(under < 5 && over > 5);
});
