import assert from "node:assert/strict";
import { test } from "node:test";

import { closedTotals, openIndexed } from "../src/panel/reconciliation.ts";
import type { ReconciliationMinute, ReconciliationState } from "../src/api.ts";

function minute(state: ReconciliationState, received: number, indexed: number): ReconciliationMinute {
  return { at: 0, symbols: 1, state, received, produced: 0, logged: 0, distinct: 0, indexed, rejected: 0, gaps: 0 };
}

test("counts by stage are summed over closed minutes only, whatever their state", () => {
  const minutes = [minute("complete", 5, 5), minute("gap", 3, 3), minute("incomplete", 4, 3), minute("open", 1, 9)];
  const found = closedTotals(minutes);
  assert.equal(found.received, 12);
  assert.equal(found.indexed, 11);
});

test("trades of open minutes are counted separately", () => {
  assert.equal(openIndexed([minute("complete", 5, 5), minute("open", 1, 9), minute("open", 0, 2)]), 11);
  assert.equal(openIndexed([]), 0);
});
