// Keyboard shortcuts: one table for the handlers and for the help dialog.

import { h } from "./dom.ts";
import { t, type MessageKey } from "./i18n.ts";

export interface Key {
  keys: readonly string[];
  message: MessageKey;
  act: (key: string) => void;
}

/** Handle keys outside of input fields; keys with a modifier belong to the browser. */
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
  const rows = table.flatMap(({ keys, message }) => [
    h("dt", {}, ...keys.map((key) => h("kbd", { text: key }))),
    h("dd", { text: t(message) }),
  ]);
  const form = h("form", { attr: { method: "dialog" } }, h("button", { text: t("close") }));
  return h("dialog", { class: "help" }, h("h2", { text: t("keys") }), h("dl", {}, ...rows), form);
}

/** Return the value after this one, cyclically. */
export function nextOf<Value>(values: readonly Value[], value: Value): Value {
  return values[(values.indexOf(value) + 1) % values.length] as Value;
}
