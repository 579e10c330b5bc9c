import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as format from "../src/format.ts";
import { languageOf, say, setLanguage, type Word } from "../src/words.ts";

const SOURCE = readFileSync(new URL("../src/words.ts", import.meta.url), "utf8");
const NAMES = [...SOURCE.matchAll(/^ {2}(\w+): \[/gm)].map((match) => match[1] as Word);

test("every word has both languages, with the same places to fill", () => {
  assert.ok(NAMES.length > 100);
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const name of NAMES) {
    setLanguage("en");
    const english = say(name);
    setLanguage("it");
    assert.ok(english && say(name), name);
    assert.deepEqual(places(say(name)), places(english), name);
  }
  setLanguage("en");
});

test("what is given stands in its place", () => {
  assert.equal(say("minutesNotComplete", { count: 2, all: 60 }), "2 of 60 minutes");
});

test("the browser's first language that we know decides", () => {
  assert.equal(languageOf(["it-CH", "en"]), "it");
  assert.equal(languageOf(["de", "en-US", "it"]), "en");
  assert.equal(languageOf(["de"]), "en");
});

test("numbers are written as the language writes them, and nothing known is a dash", () => {
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

test("digits behind the point are those that the exchange uses", () => {
  assert.equal(format.digitsOf([64_250.5, 1.25]), 2);
  assert.equal(format.digitsOf([1e-7]), 7);
  assert.equal(format.digitsOf([]), 0);
});
