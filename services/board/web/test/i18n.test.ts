import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as format from "../src/format.ts";
import { languageOf, t, setLanguage, type MessageKey } from "../src/i18n.ts";

const SOURCE = readFileSync(new URL("../src/i18n.ts", import.meta.url), "utf8");
const NAMES = [...SOURCE.matchAll(/^ {2}(\w+): \[/gm)].map((match) => match[1] as MessageKey);

test("every message has both languages and the same placeholders", () => {
  assert.ok(NAMES.length > 100);
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const name of NAMES) {
    setLanguage("en");
    const english = t(name);
    setLanguage("it");
    assert.ok(english && t(name), name);
    assert.deepEqual(places(t(name)), places(english), name);
  }
  setLanguage("en");
});

test("placeholders are replaced by values", () => {
  assert.equal(t("minutesNotComplete", { count: 2, all: 60 }), "2 of 60 minutes");
});

test("the browser's first supported language decides", () => {
  assert.equal(languageOf(["it-CH", "en"]), "it");
  assert.equal(languageOf(["de", "en-US", "it"]), "en");
  assert.equal(languageOf(["de"]), "en");
});

test("numbers are formatted by locale, and an unknown number is a dash", () => {
  format.setLocale("en");
  assert.equal(format.price(64_250.5), "64,250.50");
  assert.equal(format.price(0.000012345), "0.000012345");
  assert.equal(format.basisPoints(-3.25), "-3.3 bp");
  assert.equal(format.percent(0.512), "51.2%");
  assert.equal(format.price(null), "–");
  assert.equal(format.length(7_500_000), "2 hrs");
  format.setLocale("it");
  assert.equal(format.price(64_250.5), "64.250,50");
  format.setLocale("en");
});

test("decimals are those of the exchange", () => {
  assert.equal(format.digitsOf([64_250.5, 1.25]), 2);
  assert.equal(format.digitsOf([1e-7]), 7);
  assert.equal(format.digitsOf([]), 0);
});
