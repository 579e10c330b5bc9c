// Gaps as hatched bands behind the candles, from the first minute of a gap to the last.

import type {
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  PrimitivePaneViewZOrder,
  SeriesAttachedParameter,
  Time,
} from "lightweight-charts";

import type { GapRow } from "../api.ts";
import { chartTime, gapMinutes } from "./series.ts";

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];

export interface BandColours {
  fill: string;
  ink: string;
}

export class GapBands implements ISeriesPrimitive<Time>, IPrimitivePaneView, IPrimitivePaneRenderer {
  #chart: IChartApi | null = null;
  #redraw: (() => void) | null = null;
  #gaps: readonly GapRow[] = [];
  #minutes: ReadonlySet<number> = new Set();
  #colours: BandColours = { fill: "", ink: "" };
  #label = "";
  readonly #views = [this];

  attached({ chart, requestUpdate }: SeriesAttachedParameter<Time>): void {
    this.#chart = chart as IChartApi;
    this.#redraw = requestUpdate;
  }

  detached(): void {
    this.#chart = null;
    this.#redraw = null;
  }

  /** `minutes`: the minutes on the time axis; a gap is drawn over the part that is on it. */
  show(gaps: readonly GapRow[], minutes: ReadonlySet<number>, colours: BandColours, label: string): void {
    this.#gaps = gaps;
    this.#minutes = minutes;
    this.#colours = colours;
    this.#label = label;
    this.#redraw?.();
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  zOrder(): PrimitivePaneViewZOrder {
    return "bottom";
  }

  renderer(): IPrimitivePaneRenderer {
    return this;
  }

  draw(target: Target): void {
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      for (const [left, right] of this.#spans()) this.#band(context, left, right, mediaSize.height);
    });
  }

  #spans(): [number, number][] {
    const scale = this.#chart?.timeScale();
    if (!scale) return [];
    const half = scale.options().barSpacing / 2;
    return this.#gaps.flatMap((gap) => {
      const { from, to } = gapMinutes(gap);
      const first = firstShown(from, to, this.#minutes);
      const last = lastShown(from, to, this.#minutes);
      const left = first === null ? null : scale.timeToCoordinate(chartTime(first));
      const right = last === null ? null : scale.timeToCoordinate(chartTime(last));
      return left === null || right === null ? [] : [[left - half, right + half] as [number, number]];
    });
  }

  #band(context: CanvasRenderingContext2D, left: number, right: number, height: number): void {
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, height);
    context.clip();
    context.fillStyle = this.#colours.fill;
    context.fillRect(left, 0, right - left, height);
    context.strokeStyle = this.#colours.ink;
    context.globalAlpha = 0.35;
    context.beginPath();
    for (let x = left - height; x < right; x += 7) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.restore();
    context.fillStyle = this.#colours.ink;
    context.font = "600 10px system-ui, sans-serif";
    context.fillText(this.#label, left + 3, height - 6);
  }
}

function firstShown(from: number, to: number, minutes: ReadonlySet<number>): number | null {
  for (let at = from; at <= to; at += 60_000) if (minutes.has(at)) return at;
  return null;
}

function lastShown(from: number, to: number, minutes: ReadonlySet<number>): number | null {
  for (let at = to; at >= from; at -= 60_000) if (minutes.has(at)) return at;
  return null;
}
