import assert from "node:assert/strict";
import { test } from "node:test";

import { MARKET_TYPES } from "../src/api.ts";
import { isSameInstrument, keyOf, nameOf, parseInstrument } from "../src/instrument.ts";

const SYMBOLS = ["BTCUSDT", "BTC/USDT:USDT", "A&B=C%3A", "1000+PEPE", "BTC,ETH", "\u0663"];

test("the text of an instrument is parsed to the same instrument", () => {
  for (const venue of ["bybit", "other-1", "x_y"]) {
    for (const market_type of MARKET_TYPES) {
      for (const symbol of SYMBOLS) {
        const instrument = { venue, market_type, symbol };
        assert.deepEqual(parseInstrument(keyOf(instrument)), instrument);
      }
    }
  }
});

test("a text with an invalid part names no instrument", () => {
  const texts = ["", "BTCUSDT", "spot:BTCUSDT", "bybit:moon:BTCUSDT", "Bybit:spot:A", "bybit:spot:", "bybit:spot:A|B"];
  for (const text of [null, ...texts, "bybit:spot:A B", "bybit:spot:A\n", `bybit:spot:${"A".repeat(65)}`]) {
    assert.equal(parseInstrument(text), null, String(text));
  }
});

test("the same symbol at two venues, or in two market types, is two instruments with two names", () => {
  const texts = ["bybit:spot:BTCUSDT", "other:spot:BTCUSDT", "bybit:linear:BTCUSDT", "bybit:inverse:BTCUSDT"];
  const instruments = texts.map(parseInstrument).filter((one) => one !== null);
  assert.equal(new Set(instruments.map(nameOf)).size, texts.length);
  for (const one of instruments) {
    assert.equal(instruments.filter((other) => isSameInstrument(one, other)).length, 1);
    assert.ok(!isSameInstrument(one, null));
  }
  assert.ok(isSameInstrument(null, null));
});
