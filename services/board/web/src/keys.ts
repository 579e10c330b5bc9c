// The keyboard: what each key does, in one table from which the help is made.

import { h } from "./dom.ts";
import { say, type Word } from "./words.ts";

export interface Key {
  keys: readonly string[];
  word: Word;
  act: (key: string) => void;
}

/** Listen for keys outside of fields; with a modifier they are the browser's. */
export function listen(table: readonly Key[]): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.matches("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const found = table.find((entry) => entry.keys.includes(event.key));
    if (!found) return;
    event.preventDefault();
    found.act(event.key);
  });
}

export function helpDialog(table: readonly Key[]): HTMLDialogElement {
  const rows = table.flatMap(({ keys, word }) => [
    h("dt", {}, ...keys.map((key) => h("kbd", { text: key }))),
    h("dd", { text: say(word) }),
  ]);
  const form = h("form", { attr: { method: "dialog" } }, h("button", { text: say("close") }));
  return h("dialog", { class: "help" }, h("h2", { text: say("keys") }), h("dl", {}, ...rows), form);
}

/** Return the value after this one, around the end. */
export function nextOf<Value>(values: readonly Value[], value: Value): Value {
  return values[(values.indexOf(value) + 1) % values.length] as Value;
}
