// The bar on top: filters, the state of the connection and of the books, language and theme.

import { SPAN_NAMES, STATES, type Choice, type SpanName } from "../choice.ts";
import { flag, h, put } from "../dom.ts";
import type { PredictionState, Side } from "../told.ts";
import { say, type Word } from "../words.ts";

type Change = (change: Partial<Choice>) => void;

/** A group of buttons of which one is pressed. */
class Segments<Value> {
  readonly element: HTMLElement;
  readonly #buttons: (readonly [Value, HTMLElement])[];

  constructor(label: Word, name: string, options: readonly (readonly [Value, string])[], pick: (value: Value) => void) {
    this.#buttons = options.map(([value, text]) => {
      const attr = { type: "button", "data-option": String(value ?? "all") };
      return [value, h("button", { text, attr, on: { click: () => pick(value) } })] as const;
    });
    const attr = { role: "group", "aria-label": say(label), "data-filter": name };
    this.element = h("div", { class: "segments", attr }, ...this.#buttons.map(([, button]) => button));
  }

  show(chosen: Value | undefined): void {
    for (const [value, button] of this.#buttons) flag(button, "aria-pressed", String(value === chosen));
  }
}

function spanText(name: SpanName): string {
  return { "15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h" }[name];
}

/** Return the value of a date field for a time, in the zone of the browser. */
export function fieldValue(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

export class Controls {
  readonly element: HTMLElement;
  readonly #span: Segments<SpanName>;
  readonly #side: Segments<Side | null>;
  readonly #prediction: Segments<0 | 1 | null>;
  readonly #state: HTMLSelectElement;
  readonly #numbers: HTMLElement;
  readonly #dates: HTMLDialogElement;
  readonly #range: HTMLElement;
  readonly #from: HTMLInputElement;
  readonly #to: HTMLInputElement;

  constructor(change: Change, toggles: { theme: () => void; language: () => void; help: () => void }) {
    this.#span = new Segments(
      "span",
      "span",
      SPAN_NAMES.map((name) => [name, spanText(name)] as const),
      (span) => change({ span, fixed: null }),
    );
    const sides = [
      [null, say("all")],
      ["Buy", say("buy")],
      ["Sell", say("sell")],
    ] as const;
    this.#side = new Segments<Side | null>("side", "side", sides, (side) => change({ side }));
    const predictions = [
      [null, say("all")],
      [1, `▲ ${say("up")}`],
      [0, `▼ ${say("down")}`],
    ] as const;
    this.#prediction = new Segments<0 | 1 | null>("prediction", "prediction", predictions, (prediction) =>
      change({ prediction }),
    );
    this.#state = stateSelect(change);
    const button = (text: string, word: Word, name: string, click: () => void) =>
      h("button", {
        class: "plain",
        text,
        title: say(word),
        attr: { type: "button", "aria-label": say(word), "data-action": name },
        on: { click },
      });
    this.#numbers = button(say("numbers"), "numbersHint", "numbers", () =>
      change({ numbers: this.#numbers.getAttribute("aria-pressed") !== "true" }),
    );
    this.#from = dateField("from");
    this.#to = dateField("to");
    this.#dates = this.#dialog(change);
    this.#range = button(say("dates"), "range", "range", () => this.#dates.showModal());
    const filters = h(
      "div",
      { class: "filters" },
      this.#span.element,
      this.#range,
      this.#side.element,
      this.#prediction.element,
      this.#state,
      this.#numbers,
    );
    const theme = button("◐", "theme", "theme", toggles.theme);
    const language = button(say("language").slice(0, 2).toUpperCase(), "language", "language", toggles.language);
    const tools = h("div", { class: "tools" }, language, theme, button("?", "keys", "help", toggles.help));
    this.element = h("div", { class: "controls" }, filters, tools, this.#dates);
  }

  #dialog(change: Change): HTMLDialogElement {
    const apply = () => {
      const [from, to] = [Date.parse(this.#from.value), Date.parse(this.#to.value)];
      if (from < to) change({ fixed: { from, to } });
    };
    const form = h(
      "form",
      { attr: { method: "dialog" }, on: { submit: apply } },
      h("h2", { text: say("range") }),
      h("label", {}, say("from"), this.#from),
      h("label", {}, say("to"), this.#to),
      h(
        "div",
        { class: "dialog-buttons" },
        h("button", { text: say("apply"), attr: { value: "apply" } }),
        liveButton(change),
      ),
    );
    return h("dialog", { class: "dates" }, form);
  }

  show(choice: Choice, from: number, to: number): void {
    this.#span.show(choice.fixed ? undefined : choice.span);
    this.#side.show(choice.side);
    this.#prediction.show(choice.prediction);
    this.#state.value = choice.state ?? "";
    flag(this.#numbers, "aria-pressed", String(choice.numbers));
    flag(this.#range, "aria-pressed", String(choice.fixed !== null));
    if (!this.#dates.open) [this.#from.value, this.#to.value] = [fieldValue(from), fieldValue(to)];
  }
}

function liveButton(change: Change): HTMLElement {
  const dismiss = (event: Event) => {
    change({ fixed: null });
    (event.currentTarget as HTMLElement).closest("dialog")?.close();
  };
  return h("button", { text: say("backToLive"), attr: { type: "button" }, on: { click: dismiss } });
}

function dateField(word: Word): HTMLInputElement {
  return h("input", { attr: { type: "datetime-local", required: "", name: word } });
}

function stateSelect(change: Change): HTMLSelectElement {
  const options = STATES.map((state) => h("option", { text: say(state), attr: { value: state } }));
  const all = h("option", { text: say("allStates"), attr: { value: "" } });
  const select = h("select", { attr: { "aria-label": say("state"), "data-filter": "state" } }, all, ...options);
  select.addEventListener("change", () => change({ state: (select.value || null) as PredictionState | null }));
  return select;
}

/** The light that tells whether what is shown is alive. */
export class Pulse {
  readonly element = h("span", { class: "pulse", attr: { role: "status" } });

  show(tone: "live" | "past" | "waiting" | "away", text: string): void {
    flag(this.element, "data-tone", tone);
    put(this.element, text);
  }
}
