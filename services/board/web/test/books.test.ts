import assert from "node:assert/strict";
import { test } from "node:test";

import { closedSums, underWay } from "../src/panel/books.ts";
import type { BookMinute, BookState } from "../src/told.ts";

function minute(state: BookState, received: number, indexed: number): BookMinute {
  return { at: 0, symbols: 1, state, received, produced: 0, logged: 0, distinct: 0, indexed, rejected: 0, gaps: 0 };
}

test("hands are added up over closed minutes only, whatever their verdict", () => {
  const told = [minute("complete", 5, 5), minute("gap", 3, 3), minute("incomplete", 4, 3), minute("open", 1, 9)];
  const found = closedSums(told);
  assert.equal(found.received, 12);
  assert.equal(found.indexed, 11);
});

test("trades of open minutes are told apart", () => {
  assert.equal(underWay([minute("complete", 5, 5), minute("open", 1, 9), minute("open", 0, 2)]), 11);
  assert.equal(underWay([]), 0);
});
