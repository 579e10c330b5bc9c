// Reconciliation: one cell a minute, the counts by stage, and the instruments that are not reconciled.

import { nameOf } from "../instrument.ts";
import { flag, h, put, Rows, watchSize } from "../dom.ts";
import * as format from "../format.ts";
import type {
  ReconciliationMinute,
  ReconciliationResponse,
  ReconciliationState,
  ReconciliationSymbol,
} from "../api.ts";
import { t, type MessageKey } from "../i18n.ts";

const MINUTE_MS = 60_000;
const STAGES = ["received", "produced", "logged", "distinct", "indexed", "rejected", "gaps"] as const;
const MOST_SYMBOLS = 5;
const TITLES: Record<ReconciliationState, MessageKey> = {
  open: "minuteOpen",
  complete: "minuteComplete",
  gap: "minuteGap",
  incomplete: "minuteIncomplete",
};
const COLOURS: Record<ReconciliationState, string> = {
  open: "--open",
  complete: "--up",
  gap: "--warn",
  incomplete: "--down",
};

/** Return the totals of the closed minutes; counts of an open minute are not final. */
export function closedTotals(minutes: readonly ReconciliationMinute[]): Record<(typeof STAGES)[number], number> {
  const total = Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<(typeof STAGES)[number], number>;
  for (const minute of minutes) {
    if (minute.state !== "open") for (const stage of STAGES) total[stage] += minute[stage];
  }
  return total;
}

/** Return the indexed trades of the open minutes. */
export function openIndexed(minutes: readonly ReconciliationMinute[]): number {
  return minutes.reduce((total, minute) => total + (minute.state === "open" ? minute.indexed : 0), 0);
}

export class Reconciliation {
  readonly element: HTMLElement;
  readonly #summary = h("strong", { class: "summary", attr: { role: "status" } });
  readonly #reasons = h("span", { class: "note" });
  readonly #strip = h("canvas", { class: "strip-canvas", attr: { role: "img" } });
  readonly #note = h("p", { class: "strip-note" });
  readonly #stages = STAGES.map((stage) => h("dd", { attr: { "data-stage": stage } }));
  readonly #open = h("dd", { attr: { "data-stage": "open" } });
  readonly #worst = h("ul", { class: "worst" });
  readonly #rows: Rows<ReconciliationSymbol, { element: HTMLElement }>;
  #response: ReconciliationResponse | null = null;
  #width = 0;

  constructor() {
    const frame = h("div", { class: "strip-frame" }, this.#strip);
    const stages = STAGES.map((stage, index) => h("div", {}, h("dt", { text: t(stage) }), this.#stages[index] ?? null));
    stages.push(h("div", {}, h("dt", { text: t("openIndexed") }), this.#open));
    const title = h("header", {}, h("h2", { text: t("reconciliationTitle") }), this.#summary, this.#reasons);
    const sums = h("dl", { class: "stage-counts" }, ...stages);
    this.element = h("section", { class: "panel reconciliation" }, title, frame, this.#note, sums, this.#worst);
    this.#rows = new Rows(
      this.#worst,
      (): { element: HTMLElement } => ({ element: h("li") }),
      ({ element }, symbol) => writeSymbol(element, symbol),
    );
    watchSize(frame, (width) => {
      this.#width = width;
      this.#draw();
    });
    frame.addEventListener("pointermove", (event) => this.#describeMinute(event.offsetX));
    frame.addEventListener("pointerleave", () => this.#describe());
  }

  show(response: ReconciliationResponse): void {
    this.#response = response;
    flag(this.element, "data-reconciled", String(response.is_reconciled));
    put(this.#summary, t(response.is_reconciled ? "reconciled" : "notReconciled"));
    put(this.#reasons, response.reasons.map((reason) => t(`reason_${reason}`)).join(", "));
    const total = closedTotals(response.minutes);
    for (const [index, stage] of STAGES.entries()) {
      const cell = this.#stages[index];
      if (!cell) continue;
      put(cell, format.count(total[stage]));
      flag(cell, "data-value", String(total[stage]));
    }
    const open = openIndexed(response.minutes);
    put(this.#open, format.count(open));
    flag(this.#open, "data-value", String(open));
    this.#rows.show(response.symbols.filter((symbol) => symbol.not_complete > 0).slice(0, MOST_SYMBOLS));
    this.#draw();
    this.#describe();
  }

  /** Draw the strip in the colours of the page. */
  recolour(): void {
    this.#draw();
  }

  #describe(): void {
    const response = this.#response;
    if (!response) return;
    const counted = new Map<ReconciliationState, number>();
    for (const minute of response.minutes) counted.set(minute.state, (counted.get(minute.state) ?? 0) + 1);
    const parts = [...counted].map(([state, count]) => `${t(TITLES[state])}: ${format.count(count)}`);
    put(this.#note, `${format.dayAndTime(response.from_at)} – ${format.time(response.to_at)}   ${parts.join(", ")}`);
    this.#strip.setAttribute("aria-label", parts.join(", "));
  }

  #describeMinute(x: number): void {
    const response = this.#response;
    if (!response || !this.#width) return;
    const at = response.from_at + (x / this.#width) * (response.to_at - response.from_at);
    const minute = response.minutes.find((one) => at >= one.at && at < one.at + MINUTE_MS);
    if (!minute) return this.#describe();
    const stages = STAGES.filter((stage) => minute[stage] || stage === "indexed" || stage === "produced");
    const counts = stages.map((stage) => `${t(stage)} ${format.count(minute[stage])}`).join("  ");
    put(this.#note, `${format.time(minute.at)}  ${t(TITLES[minute.state])}   ${counts}`);
  }

  #draw(): void {
    const response = this.#response;
    const context = this.#strip.getContext("2d");
    if (!response || !context || !this.#width) return;
    const ratio = window.devicePixelRatio || 1;
    const height = 22;
    const [wide, tall] = [Math.round(this.#width * ratio), Math.round(height * ratio)];
    if (this.#strip.width !== wide) this.#strip.width = wide;
    if (this.#strip.height !== tall) this.#strip.height = tall;
    context.clearRect(0, 0, wide, tall);
    const style = getComputedStyle(document.documentElement);
    const first = Math.floor(response.from_at / MINUTE_MS) * MINUTE_MS;
    const cell = wide / Math.max(1, Math.ceil((response.to_at - first) / MINUTE_MS));
    const air = cell > 4 ? ratio : 0;
    for (const minute of response.minutes) {
      context.fillStyle = style.getPropertyValue(COLOURS[minute.state]);
      context.fillRect(((minute.at - first) / MINUTE_MS) * cell, 0, Math.max(1, cell - air), tall);
    }
  }
}

function writeSymbol(element: HTMLElement, symbol: ReconciliationSymbol): void {
  const minutes = t("minutesNotComplete", { count: symbol.not_complete, all: symbol.minutes });
  put(element, `${nameOf(symbol)}  ${t(TITLES[symbol.state])}, ${minutes}`);
  flag(element, "data-state", symbol.state);
}
