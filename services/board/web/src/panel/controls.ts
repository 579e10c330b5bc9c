// The top bar: filters, connection status, language and theme.

import { SPAN_NAMES, type UrlState, type SpanName } from "../url-state.ts";
import { flag, h, put } from "../dom.ts";
import { PREDICTION_STATES, type PredictionState, type Side } from "../api.ts";
import { t, type MessageKey } from "../i18n.ts";

type Change = (change: Partial<UrlState>) => void;

/** A group of buttons of which one is pressed. */
class Segments<Value> {
  readonly element: HTMLElement;
  readonly #buttons: (readonly [Value, HTMLElement])[];

  constructor(
    label: MessageKey,
    name: string,
    options: readonly (readonly [Value, string])[],
    onSelect: (value: Value) => void,
  ) {
    this.#buttons = options.map(([value, text]) => {
      const attr = { type: "button", "data-option": String(value ?? "all") };
      return [value, h("button", { text, attr, on: { click: () => onSelect(value) } })] as const;
    });
    const attr = { role: "group", "aria-label": t(label), "data-filter": name };
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
      [null, t("all")],
      ["Buy", t("buy")],
      ["Sell", t("sell")],
    ] as const;
    this.#side = new Segments<Side | null>("side", "side", sides, (side) => change({ side }));
    const predictions = [
      [null, t("all")],
      [1, `▲ ${t("up")}`],
      [0, `▼ ${t("down")}`],
    ] as const;
    this.#prediction = new Segments<0 | 1 | null>("prediction", "prediction", predictions, (prediction) =>
      change({ prediction }),
    );
    this.#state = stateSelect(change);
    const button = (text: string, message: MessageKey, name: string, click: () => void) =>
      h("button", {
        class: "plain",
        text,
        title: t(message),
        attr: { type: "button", "aria-label": t(message), "data-action": name },
        on: { click },
      });
    this.#numbers = button(t("numbers"), "numbersHint", "numbers", () =>
      change({ numbers: this.#numbers.getAttribute("aria-pressed") !== "true" }),
    );
    this.#from = dateField("from");
    this.#to = dateField("to");
    this.#dates = this.#dialog(change);
    this.#range = button(t("dates"), "range", "range", () => this.#dates.showModal());
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
    const language = button(t("language").slice(0, 2).toUpperCase(), "language", "language", toggles.language);
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
      h("h2", { text: t("range") }),
      h("label", {}, t("from"), this.#from),
      h("label", {}, t("to"), this.#to),
      h(
        "div",
        { class: "dialog-buttons" },
        h("button", { text: t("apply"), attr: { value: "apply" } }),
        liveButton(change),
      ),
    );
    return h("dialog", { class: "dates" }, form);
  }

  show(urlState: UrlState, from: number, to: number): void {
    this.#span.show(urlState.fixed ? undefined : urlState.span);
    this.#side.show(urlState.side);
    this.#prediction.show(urlState.prediction);
    this.#state.value = urlState.state ?? "";
    flag(this.#numbers, "aria-pressed", String(urlState.numbers));
    flag(this.#range, "aria-pressed", String(urlState.fixed !== null));
    if (!this.#dates.open) [this.#from.value, this.#to.value] = [fieldValue(from), fieldValue(to)];
  }
}

function liveButton(change: Change): HTMLElement {
  const dismiss = (event: Event) => {
    change({ fixed: null });
    (event.currentTarget as HTMLElement).closest("dialog")?.close();
  };
  return h("button", { text: t("backToLive"), attr: { type: "button" }, on: { click: dismiss } });
}

function dateField(message: MessageKey): HTMLInputElement {
  return h("input", { attr: { type: "datetime-local", required: "", name: message } });
}

function stateSelect(change: Change): HTMLSelectElement {
  const options = PREDICTION_STATES.map((state) => h("option", { text: t(state), attr: { value: state } }));
  const all = h("option", { text: t("allStates"), attr: { value: "" } });
  const select = h("select", { attr: { "aria-label": t("state"), "data-filter": "state" } }, all, ...options);
  select.addEventListener("change", () => change({ state: (select.value || null) as PredictionState | null }));
  return select;
}

/** Shows whether the data is live, past or stale. */
export class ConnectionStatus {
  readonly element = h("span", { class: "connection-status", attr: { role: "status" } });

  show(tone: "live" | "past" | "waiting" | "stale", text: string): void {
    flag(this.element, "data-tone", tone);
    put(this.element, text);
  }
}
