// Calibration plot: predicted probability and observed share of rises.

import { h, svg } from "../dom.ts";
import * as format from "../format.ts";
import type { CalibrationBin } from "../api.ts";
import { t } from "../i18n.ts";

const SIDE = 170;
const PAD = 34;

export class Calibration {
  readonly element: HTMLElement;
  readonly #svg = svg("svg", { viewBox: `0 0 ${SIDE + PAD + 18} ${SIDE + 22}`, role: "img", class: "calibration" });

  constructor() {
    this.#svg.setAttribute("aria-label", t("calibration"));
    this.element = h("figure", {}, this.#svg, h("figcaption", { text: t("calibration") }));
  }

  show(bins: readonly CalibrationBin[]): void {
    const x = (share: number) => (PAD + share * SIDE).toFixed(1);
    const y = (share: number) => (4 + (1 - share) * (SIDE - 4)).toFixed(1);
    const parts: SVGElement[] = [];
    for (const share of [0, 0.5, 1]) {
      parts.push(svg("line", { x1: x(0), x2: x(1), y1: y(share), y2: y(share), class: "grid" }));
      parts.push(svg("text", { x: PAD - 4, y: Number(y(share)) + 4, "text-anchor": "end" }, format.percent(share, 0)));
      parts.push(svg("text", { x: x(share), y: SIDE + 16, "text-anchor": "middle" }, format.percent(share, 0)));
    }
    parts.push(svg("line", { x1: x(0), x2: x(1), y1: y(0), y2: y(1), class: "diagonal" }));
    const most = Math.max(1, ...bins.map((bin) => bin.predictions));
    for (const { mean_probability, up_share, predictions } of bins) {
      if (mean_probability === null || up_share === null) continue;
      const r = (2 + 6 * Math.sqrt(predictions / most)).toFixed(1);
      const outcome = `${format.percent(up_share)} ${t("happened")}`;
      const label = `${format.percent(mean_probability)} → ${outcome} (${format.count(predictions)})`;
      parts.push(svg("circle", { cx: x(mean_probability), cy: y(up_share), r, class: "bin" }, svg("title", {}, label)));
    }
    this.#svg.replaceChildren(...parts);
  }
}
