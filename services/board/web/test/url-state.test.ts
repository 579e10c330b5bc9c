import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULT_STATE, readUrlState, toggleOnly, writeUrlState, type UrlState } from "../src/url-state.ts";

const BTC = { market_type: "spot", symbol: "BTCUSDT" } as const;
const ETH = { market_type: "spot", symbol: "ETHUSDT" } as const;
const LINEAR = { market_type: "linear", symbol: "BTCUSDT" } as const;

test("an empty address is the default state, and the default state an empty address", () => {
  assert.deepEqual(readUrlState(""), DEFAULT_STATE);
  assert.equal(writeUrlState(DEFAULT_STATE), "");
});

test("a written state is read back unchanged", () => {
  const chosen: UrlState[] = [
    { ...DEFAULT_STATE, focus: BTC, span: "24h", side: "Sell", prediction: 0, state: "late" },
    { ...DEFAULT_STATE, fixed: { from: 1_700_000_000_000, to: 1_700_003_600_000 }, prediction: 1, numbers: true },
    { ...DEFAULT_STATE, only: [BTC, ETH], language: "it", theme: "dark" },
  ];
  for (const urlState of chosen) assert.deepEqual(readUrlState(writeUrlState(urlState)), urlState);
});

test("invalid parameters are ignored", () => {
  const search =
    "?symbol=moon:BTC&span=9y&side=buy&prediction=2&state=x&from=5&to=4&only=spot:A,,linear:B&lang=de&theme=red";
  assert.deepEqual(readUrlState(search), { ...DEFAULT_STATE, only: [{ market_type: "spot", symbol: "A" }] });
});

test("the address is readable", () => {
  assert.equal(
    writeUrlState({ ...DEFAULT_STATE, focus: BTC, only: [BTC, ETH] }),
    "?symbol=spot:BTCUSDT&only=spot:BTCUSDT,spot:ETHUSDT",
  );
});

test("the filter holds instruments of one market type", () => {
  const both = toggleOnly({ ...DEFAULT_STATE, only: [BTC] }, ETH);
  assert.deepEqual(both.only, [BTC, ETH]);
  assert.deepEqual(toggleOnly(both, LINEAR).only, [LINEAR]);
  assert.deepEqual(toggleOnly(both, BTC).only, [ETH]);
  const row = { ...LINEAR, last_price: 1 };
  assert.deepEqual(toggleOnly(DEFAULT_STATE, row).only, [LINEAR], "other fields of a row are dropped");
});
