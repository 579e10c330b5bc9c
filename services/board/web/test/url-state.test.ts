import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULT_STATE, readUrlState, toggleOnly, writeUrlState, type UrlState } from "../src/url-state.ts";

const BTC = { venue: "bybit", market_type: "spot", symbol: "BTCUSDT" } as const;
const ETH = { venue: "bybit", market_type: "spot", symbol: "ETHUSDT" } as const;
const LINEAR = { venue: "bybit", market_type: "linear", symbol: "BTCUSDT" } as const;
const OTHER = { ...BTC, venue: "other" } as const;
const ODD = { ...BTC, symbol: "A%3A&B+C/D:E,F" } as const;

test("an empty address is the default state, and the default state an empty address", () => {
  assert.deepEqual(readUrlState(""), DEFAULT_STATE);
  assert.equal(writeUrlState(DEFAULT_STATE), "");
});

test("a written state is read back unchanged", () => {
  const chosen: UrlState[] = [
    { ...DEFAULT_STATE, focus: BTC, span: "24h", side: "Sell", prediction: 0, state: "late" },
    { ...DEFAULT_STATE, fixed: { from: 1_700_000_000_000, to: 1_700_003_600_000 }, prediction: 1, numbers: true },
    { ...DEFAULT_STATE, only: [BTC, ETH], language: "it", theme: "dark" },
    { ...DEFAULT_STATE, focus: ODD, only: [OTHER, ODD, BTC, LINEAR] },
  ];
  for (const urlState of chosen) assert.deepEqual(readUrlState(writeUrlState(urlState)), urlState);
});

test("invalid parameters are ignored", () => {
  const search =
    "?instrument=bybit:moon:BTC&span=9y&side=buy&prediction=2&state=x&from=5&to=4&lang=de&theme=red" +
    "&only=bybit:spot:BTCUSDT&only=&only=spot:A";
  assert.deepEqual(readUrlState(search), { ...DEFAULT_STATE, only: [BTC] });
  assert.deepEqual(readUrlState("?symbol=bybit:spot:BTCUSDT"), DEFAULT_STATE);
});

test("the address is readable", () => {
  assert.equal(
    writeUrlState({ ...DEFAULT_STATE, focus: BTC, only: [BTC, ETH] }),
    "?instrument=bybit:spot:BTCUSDT&only=bybit:spot:BTCUSDT&only=bybit:spot:ETHUSDT",
  );
});

test("an instrument in the address is percent-encoded once", () => {
  const search = writeUrlState({ ...DEFAULT_STATE, focus: ODD });
  assert.equal(search, "?instrument=bybit:spot:A%253A%26B%2BC%2FD:E%2CF");
  assert.deepEqual(readUrlState("?instrument=bybit%3Aspot%3ABTCUSDT").focus, BTC);
});

test("the filter holds instruments of any venue and market type", () => {
  const both = toggleOnly({ ...DEFAULT_STATE, only: [BTC] }, ETH);
  assert.deepEqual(both.only, [BTC, ETH]);
  assert.deepEqual(toggleOnly(both, LINEAR).only, [BTC, ETH, LINEAR]);
  assert.deepEqual(toggleOnly(both, OTHER).only, [BTC, ETH, OTHER]);
  assert.deepEqual(toggleOnly({ ...DEFAULT_STATE, only: [BTC, OTHER] }, OTHER).only, [BTC]);
  assert.deepEqual(toggleOnly(both, BTC).only, [ETH]);
  const row = { ...LINEAR, last_price: 1 };
  assert.deepEqual(toggleOnly(DEFAULT_STATE, row).only, [LINEAR], "other fields of a row are dropped");
});
