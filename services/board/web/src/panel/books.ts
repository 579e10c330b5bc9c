// Completeness: one cell a minute, what each hand counted, and the symbols whose books do not balance.

import { nameOf } from "../choice.ts";
import { flag, h, put, Rows, watchSize } from "../dom.ts";
import * as format from "../format.ts";
import type { BookMinute, BookState, BookSymbol, CompletenessAnswer } from "../told.ts";
import { say, type Word } from "../words.ts";

const MINUTE_MS = 60_000;
const HANDS = ["received", "produced", "logged", "distinct", "indexed", "rejected", "gaps"] as const;
const MOST_SYMBOLS = 5;
const TITLES: Record<BookState, Word> = {
  open: "bookOpen",
  complete: "bookComplete",
  gap: "bookGap",
  incomplete: "bookIncomplete",
};
const COLOURS: Record<BookState, string> = {
  open: "--open",
  complete: "--up",
  gap: "--warn",
  incomplete: "--down",
};

/** Return what the closed minutes add up to: the hands of an open one are not done counting, and would never agree. */
export function closedSums(minutes: readonly BookMinute[]): Record<(typeof HANDS)[number], number> {
  const total = Object.fromEntries(HANDS.map((hand) => [hand, 0])) as Record<(typeof HANDS)[number], number>;
  for (const minute of minutes) {
    if (minute.state !== "open") for (const hand of HANDS) total[hand] += minute[hand];
  }
  return total;
}

/** Return the trades of the open minutes that can be searched already. */
export function underWay(minutes: readonly BookMinute[]): number {
  return minutes.reduce((total, minute) => total + (minute.state === "open" ? minute.indexed : 0), 0);
}

export class Books {
  readonly element: HTMLElement;
  readonly #verdict = h("strong", { class: "verdict", attr: { role: "status" } });
  readonly #why = h("span", { class: "note" });
  readonly #strip = h("canvas", { class: "strip-canvas", attr: { role: "img" } });
  readonly #under = h("p", { class: "strip-note" });
  readonly #hands = HANDS.map((hand) => h("dd", { attr: { "data-hand": hand } }));
  readonly #open = h("dd", { attr: { "data-hand": "open" } });
  readonly #worst = h("ul", { class: "worst" });
  readonly #rows: Rows<BookSymbol, { element: HTMLElement }>;
  #told: CompletenessAnswer | null = null;
  #width = 0;

  constructor() {
    const frame = h("div", { class: "strip-frame" }, this.#strip);
    const hands = HANDS.map((hand, index) => h("div", {}, h("dt", { text: say(hand) }), this.#hands[index] ?? null));
    hands.push(h("div", {}, h("dt", { text: say("underWay") }), this.#open));
    const title = h("header", {}, h("h2", { text: say("booksTitle") }), this.#verdict, this.#why);
    const sums = h("dl", { class: "hands" }, ...hands);
    this.element = h("section", { class: "panel books" }, title, frame, this.#under, sums, this.#worst);
    this.#rows = new Rows(
      this.#worst,
      (): { element: HTMLElement } => ({ element: h("li") }),
      ({ element }, told) => writeSymbol(element, told),
    );
    watchSize(frame, (width) => {
      this.#width = width;
      this.#draw();
    });
    frame.addEventListener("pointermove", (event) => this.#under_pointer(event.offsetX));
    frame.addEventListener("pointerleave", () => this.#describe());
  }

  show(told: CompletenessAnswer): void {
    this.#told = told;
    flag(this.element, "data-balanced", String(told.is_balanced));
    put(this.#verdict, say(told.is_balanced ? "balanced" : "unbalanced"));
    put(this.#why, told.reasons.map((reason) => say(`reason_${reason}`)).join(", "));
    const total = closedSums(told.minutes);
    for (const [index, hand] of HANDS.entries()) {
      const cell = this.#hands[index];
      if (!cell) continue;
      put(cell, format.count(total[hand]));
      flag(cell, "data-value", String(total[hand]));
    }
    const open = underWay(told.minutes);
    put(this.#open, format.count(open));
    flag(this.#open, "data-value", String(open));
    this.#rows.show(told.symbols.filter((symbol) => symbol.not_complete > 0).slice(0, MOST_SYMBOLS));
    this.#draw();
    this.#describe();
  }

  /** Draw the strip in the colours of the page. */
  recolour(): void {
    this.#draw();
  }

  #describe(): void {
    const told = this.#told;
    if (!told) return;
    const counted = new Map<BookState, number>();
    for (const minute of told.minutes) counted.set(minute.state, (counted.get(minute.state) ?? 0) + 1);
    const parts = [...counted].map(([state, count]) => `${say(TITLES[state])}: ${format.count(count)}`);
    put(this.#under, `${format.dayAndTime(told.from_at)} – ${format.time(told.to_at)}   ${parts.join(", ")}`);
    this.#strip.setAttribute("aria-label", parts.join(", "));
  }

  #under_pointer(x: number): void {
    const told = this.#told;
    if (!told || !this.#width) return;
    const at = told.from_at + (x / this.#width) * (told.to_at - told.from_at);
    const minute = told.minutes.find((one) => at >= one.at && at < one.at + MINUTE_MS);
    if (!minute) return this.#describe();
    const hands = HANDS.filter((hand) => minute[hand] || hand === "indexed" || hand === "produced");
    const counts = hands.map((hand) => `${say(hand)} ${format.count(minute[hand])}`).join("  ");
    put(this.#under, `${format.time(minute.at)}  ${say(TITLES[minute.state])}   ${counts}`);
  }

  #draw(): void {
    const told = this.#told;
    const context = this.#strip.getContext("2d");
    if (!told || !context || !this.#width) return;
    const ratio = window.devicePixelRatio || 1;
    const height = 22;
    const [wide, tall] = [Math.round(this.#width * ratio), Math.round(height * ratio)];
    if (this.#strip.width !== wide) this.#strip.width = wide;
    if (this.#strip.height !== tall) this.#strip.height = tall;
    context.clearRect(0, 0, wide, tall);
    const style = getComputedStyle(document.documentElement);
    const first = Math.floor(told.from_at / MINUTE_MS) * MINUTE_MS;
    const cell = wide / Math.max(1, Math.ceil((told.to_at - first) / MINUTE_MS));
    const air = cell > 4 ? ratio : 0;
    for (const minute of told.minutes) {
      context.fillStyle = style.getPropertyValue(COLOURS[minute.state]);
      context.fillRect(((minute.at - first) / MINUTE_MS) * cell, 0, Math.max(1, cell - air), tall);
    }
  }
}

function writeSymbol(element: HTMLElement, told: BookSymbol): void {
  const minutes = say("minutesNotComplete", { count: told.not_complete, all: told.minutes });
  put(element, `${nameOf(told)}  ${say(TITLES[told.state])}, ${minutes}`);
  flag(element, "data-state", told.state);
}
