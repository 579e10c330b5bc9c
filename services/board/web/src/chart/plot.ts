// A small line plot in SVG: own scales, three grid lines, a time axis, and values at the pointer.

import { h, svg, watchSize } from "../dom.ts";
import * as format from "../format.ts";

export interface Line {
  name: string;
  /** Class that gives the colour. */
  tone: string;
  at: readonly number[];
  values: readonly (number | null)[];
  /** Points instead of a line. */
  dots?: boolean;
}

/** Bars below the lines, up and down from zero. */
export interface Strip {
  name: string;
  at: readonly number[];
  values: readonly (number | null)[];
  write: (value: number | null) => string;
}

export interface Shown {
  from: number;
  to: number;
  lines: readonly Line[];
  strip: Strip;
  /** Longest time that a line bridges; beyond, it breaks. */
  bridge: number;
  write: (value: number | null) => string;
}

const PAD = { left: 4, right: 58, top: 8, bottom: 18 };
const STRIP_HEIGHT = 44;

export class Plot {
  readonly element = h("div", { class: "plot" });
  readonly #legend = h("div", { class: "plot-legend" });
  readonly #svg = svg("svg", { role: "img" });
  #shown: Shown | null = null;
  #width = 0;
  #height = 0;
  #pointer: number | null = null;

  constructor(name: string) {
    this.#svg.setAttribute("aria-label", name);
    const frame = h("div", { class: "plot-frame" }, this.#svg);
    this.element.append(this.#legend, frame);
    watchSize(frame, (width, height) => {
      [this.#width, this.#height] = [width, height];
      this.#draw();
    });
    frame.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    frame.addEventListener("pointerleave", () => this.#point(null));
  }

  show(shown: Shown): void {
    this.#shown = shown;
    this.#draw();
  }

  #point(x: number | null): void {
    this.#pointer = x;
    this.#draw();
  }

  #draw(): void {
    const shown = this.#shown;
    if (!shown || this.#width === 0) return;
    const scale = scaleOf(shown, this.#width, this.#height);
    this.#svg.setAttribute("viewBox", `0 0 ${this.#width} ${this.#height}`);
    const parts: SVGElement[] = [...grid(shown, scale, this.#width, this.#height)];
    parts.push(...bars(shown.strip, scale, this.#width, this.#height));
    for (const line of shown.lines) parts.push(line.dots ? dots(line, scale) : path(line, scale, shown.bridge));
    const at = this.#pointer === null ? null : scale.timeAt(this.#pointer);
    if (at !== null && this.#pointer !== null) {
      const x = Math.min(this.#pointer, this.#width - PAD.right);
      parts.push(svg("line", { x1: x, x2: x, y1: 0, y2: this.#height - PAD.bottom, class: "cursor" }));
    }
    this.#svg.replaceChildren(...parts);
    this.#write(shown, at);
  }

  #write(shown: Shown, at: number | null): void {
    const items = shown.lines.map((line) => {
      const value = at === null ? lastOf(line) : valueAt(line, at, shown.bridge);
      return h(
        "span",
        { class: `key ${line.tone}`, attr: { "data-line": line.name } },
        h("span", { text: line.name }),
        h("b", { text: shown.write(value) }),
      );
    });
    const { strip } = shown;
    const value = at === null ? lastOf(strip) : valueAt(strip, at, shown.bridge);
    const texts = [h("span", { text: strip.name }), h("b", { text: strip.write(value) })];
    items.push(h("span", { class: "key even", attr: { "data-line": strip.name } }, ...texts));
    if (at !== null) items.push(h("span", { class: "key when", text: format.dayAndTime(at) }));
    this.#legend.replaceChildren(...items);
  }
}

interface Scale {
  x: (at: number) => number;
  y: (value: number) => number;
  timeAt: (x: number) => number;
  low: number;
  high: number;
}

/** Return the lowest and highest value, with air around them. */
export function extent(values: Iterable<number | null>): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const air = (high - low || Math.abs(high) * 1e-4 || 1) * 0.08;
  return [low - air, high + air];
}

function scaleOf(shown: Shown, width: number, height: number): Scale {
  const [low, high] = extent(shown.lines.flatMap((line) => line.values));
  const span = Math.max(1, shown.to - shown.from);
  const inner = width - PAD.left - PAD.right;
  const tall = height - PAD.top - PAD.bottom - STRIP_HEIGHT;
  return {
    x: (at) => PAD.left + ((at - shown.from) / span) * inner,
    y: (value) => PAD.top + (1 - (value - low) / (high - low)) * tall,
    timeAt: (x) => shown.from + (Math.min(Math.max(x - PAD.left, 0), inner) / inner) * span,
    low,
    high,
  };
}

function grid(shown: Shown, scale: Scale, width: number, height: number): SVGElement[] {
  const parts: SVGElement[] = [];
  for (const share of [0.1, 0.5, 0.9]) {
    const value = scale.low + (scale.high - scale.low) * share;
    const y = Math.round(scale.y(value)) + 0.5;
    parts.push(svg("line", { x1: 0, x2: width - PAD.right, y1: y, y2: y, class: "grid" }));
    parts.push(svg("text", { x: width - PAD.right + 6, y: y + 3.5 }, shown.write(value)));
  }
  const marks = Math.max(2, Math.min(5, Math.floor((width - PAD.right) / 90)));
  for (let index = 0; index < marks; index += 1) {
    const at = shown.from + ((shown.to - shown.from) * (index + 0.5)) / marks;
    parts.push(svg("text", { x: scale.x(at), y: height - 4, "text-anchor": "middle" }, format.time(at)));
  }
  return parts;
}

function bars({ at, values }: Strip, scale: Scale, width: number, height: number): SVGElement[] {
  const middle = Math.round(height - PAD.bottom - STRIP_HEIGHT / 2) + 0.5;
  const most = Math.max(...values.map((value) => Math.abs(value ?? 0))) || 1;
  const step = at.length > 1 ? scale.x(at[1] as number) - scale.x(at[0] as number) : 4;
  const thick = Math.max(1, Math.min(8, step * 0.7));
  const commands = { up: "", down: "" };
  for (const [index, one] of at.entries()) {
    const value = values[index] ?? null;
    if (value === null) continue;
    const length = (value / most) * (STRIP_HEIGHT / 2 - 4);
    commands[value >= 0 ? "up" : "down"] += `M${scale.x(one).toFixed(1)} ${middle}v${(-length).toFixed(1)}`;
  }
  return [
    svg("line", { x1: 0, x2: width - PAD.right, y1: middle, y2: middle, class: "grid" }),
    ...(["up", "down"] as const).map((tone) =>
      svg("path", { d: commands[tone], class: `bars-of ${tone}`, "stroke-width": thick }),
    ),
  ];
}

/** Return the drawing commands of a line, broken where values are missing for longer than `bridge`. */
export function commands(line: Line, x: (at: number) => number, y: (value: number) => number, bridge: number): string {
  let text = "";
  let last: number | null = null;
  for (const [index, at] of line.at.entries()) {
    const value = line.values[index] ?? null;
    if (value === null) continue;
    text += `${last !== null && at - last <= bridge ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    last = at;
  }
  return text;
}

function path(line: Line, scale: Scale, bridge: number): SVGElement {
  return svg("path", { d: commands(line, scale.x, scale.y, bridge), class: `line ${line.tone}` });
}

function dots(line: Line, scale: Scale): SVGElement {
  const radius = line.at.length > 60 ? 1.3 : 2;
  const circles = line.at.flatMap((at, index) => {
    const value = line.values[index] ?? null;
    return value === null
      ? []
      : [svg("circle", { cx: scale.x(at).toFixed(1), cy: scale.y(value).toFixed(1), r: radius })];
  });
  return svg("g", { class: `dots ${line.tone}` }, ...circles);
}

function lastOf(line: Pick<Line, "values">): number | null {
  return line.values.findLast((value) => value !== null) ?? null;
}

function valueAt(line: Pick<Line, "at" | "values">, at: number, bridge: number): number | null {
  let best: number | null = null;
  let distance = bridge;
  for (const [index, one] of line.at.entries()) {
    const value = line.values[index] ?? null;
    if (value === null || Math.abs(one - at) > distance) continue;
    [best, distance] = [value, Math.abs(one - at)];
  }
  return best;
}

/** A line of a few pixels, without axes. */
export class Spark {
  readonly element = svg("svg", {
    class: "spark",
    viewBox: "0 0 100 32",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  readonly #path = svg("path", { class: "line" });

  constructor() {
    this.element.append(this.#path);
  }

  show(line: Line, from: number, to: number, bridge: number): void {
    const [low, high] = extent(line.values);
    const span = Math.max(1, to - from);
    const text = commands(
      line,
      (at) => ((at - from) / span) * 100,
      (v) => 2 + (1 - (v - low) / (high - low)) * 28,
      bridge,
    );
    this.#path.setAttribute("d", text);
    this.#path.setAttribute("class", `line ${line.tone}`);
  }
}
