import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULT, readChoice, toggleOnly, writeChoice, type Choice } from "../src/choice.ts";

const BTC = { market_type: "spot", symbol: "BTCUSDT" } as const;
const ETH = { market_type: "spot", symbol: "ETHUSDT" } as const;
const LINEAR = { market_type: "linear", symbol: "BTCUSDT" } as const;

test("an empty address is the default, and the default an empty address", () => {
  assert.deepEqual(readChoice(""), DEFAULT);
  assert.equal(writeChoice(DEFAULT), "");
});

test("what is written is read again, whatever is chosen", () => {
  const chosen: Choice[] = [
    { ...DEFAULT, focus: BTC, span: "24h", side: "Sell", prediction: 0, state: "late" },
    { ...DEFAULT, fixed: { from: 1_700_000_000_000, to: 1_700_003_600_000 }, prediction: 1, numbers: true },
    { ...DEFAULT, only: [BTC, ETH], language: "it", theme: "dark" },
  ];
  for (const choice of chosen) assert.deepEqual(readChoice(writeChoice(choice)), choice);
});

test("nonsense in the address is as if it were not there", () => {
  const search =
    "?symbol=moon:BTC&span=9y&side=buy&prediction=2&state=x&from=5&to=4&only=spot:A,,linear:B&lang=de&theme=red";
  assert.deepEqual(readChoice(search), { ...DEFAULT, only: [{ market_type: "spot", symbol: "A" }] });
});

test("the address can be read by a person", () => {
  assert.equal(
    writeChoice({ ...DEFAULT, focus: BTC, only: [BTC, ETH] }),
    "?symbol=spot:BTCUSDT&only=spot:BTCUSDT,spot:ETHUSDT",
  );
});

test("only markets of one market_type are shown together", () => {
  const both = toggleOnly({ ...DEFAULT, only: [BTC] }, ETH);
  assert.deepEqual(both.only, [BTC, ETH]);
  assert.deepEqual(toggleOnly(both, LINEAR).only, [LINEAR]);
  assert.deepEqual(toggleOnly(both, BTC).only, [ETH]);
  const row = { ...LINEAR, last_price: 1 };
  assert.deepEqual(toggleOnly(DEFAULT, row).only, [LINEAR], "a row says more than its market");
});
