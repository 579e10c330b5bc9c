// The candles of one instrument with their indicators in panes, predictions as arrows and gaps as bands.

import {
  CandlestickSeries,
  HistogramSeries,
  LineSeries,
  LineStyle,
  createChart,
  createSeriesMarkers,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  type MouseEventParams,
  type SeriesMarker,
  type Time,
} from "lightweight-charts";

import { watchSize } from "../dom.ts";
import * as format from "../format.ts";
import type { CandleRow, GapRow, Marker } from "../api.ts";
import { t } from "../i18n.ts";
import { GapBands } from "./bands.ts";
import { Legend } from "./legend.ts";
import { chartOptions } from "./options.ts";
import { readPalette, type Palette } from "./palette.ts";
import { MINUTE_MS, arrows, chartTime, slots, timeOf, type Slot } from "./series.ts";

type LineName = "bollinger_upper" | "bollinger_middle" | "bollinger_lower" | "rsi_14" | "macd" | "macd_signal";
const LINES: readonly LineName[] = [
  ...(["bollinger_upper", "bollinger_middle", "bollinger_lower"] as const),
  ...(["rsi_14", "macd", "macd_signal"] as const),
];
const PANE_OF: Record<LineName, number> = {
  bollinger_upper: 0,
  bollinger_middle: 0,
  bollinger_lower: 0,
  rsi_14: 2,
  macd: 3,
  macd_signal: 3,
};
const STRETCH = [5, 1.1, 1.2, 1.4];
const MOST_ARROWS = 180;
const FEWEST_BARS = 45;

export class CandleChart {
  readonly #container: HTMLElement;
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #histogram: ISeriesApi<"Histogram">;
  readonly #lines: Record<LineName, ISeriesApi<"Line">>;
  readonly #markers: ISeriesMarkersPluginApi<Time>;
  readonly #bands = new GapBands();
  readonly #legend: Legend;
  #palette: Palette = readPalette();
  #shown: readonly CandleRow[] = [];
  #predictions: readonly Marker[] = [];
  #gaps: readonly GapRow[] = [];
  #minutes = new Set<number>();
  #subject = "";
  #hovered: number | null = null;

  constructor(container: HTMLElement) {
    this.#container = container;
    this.#chart = createChart(container, chartOptions(this.#palette, 2));
    this.#candles = this.#chart.addSeries(CandlestickSeries, { priceLineStyle: LineStyle.Dotted }, 0);
    this.#volume = this.#chart.addSeries(HistogramSeries, { lastValueVisible: false, priceLineVisible: false }, 1);
    // The first series of a pane creates it, so order matters; within a pane, later series are drawn above.
    const upper = LINES.slice(0, 4).map((name) => [name, this.#line(PANE_OF[name])]);
    this.#histogram = this.#chart.addSeries(HistogramSeries, { lastValueVisible: false, priceLineVisible: false }, 3);
    const lower = LINES.slice(4).map((name) => [name, this.#line(PANE_OF[name])]);
    this.#lines = Object.fromEntries([...upper, ...lower]) as Record<LineName, ISeriesApi<"Line">>;
    this.#candles.attachPrimitive(this.#bands);
    this.#markers = createSeriesMarkers(this.#candles, []);
    for (const [index, pane] of this.#chart.panes().entries()) pane.setStretchFactor(STRETCH[index] ?? 1);
    this.#legend = new Legend(container, this.#chart);
    this.#chart.subscribeCrosshairMove((event) => this.#hover(event));
    watchSize(container, (width, height) => {
      this.#chart.resize(width, height);
      this.#legend.place();
    });
    this.recolour();
  }

  #line(pane: number): ISeriesApi<"Line"> {
    const plain = { lineWidth: 1 as const, lastValueVisible: false, priceLineVisible: false };
    return this.#chart.addSeries(LineSeries, { ...plain, crosshairMarkerVisible: false }, pane);
  }

  /** Apply the colours and the language of the page again. */
  recolour(): void {
    const palette = (this.#palette = readPalette());
    this.#chart.applyOptions(chartOptions(palette, this.#digits()));
    this.#candles.applyOptions({
      upColor: palette.up,
      wickUpColor: palette.up,
      downColor: palette.down,
      wickDownColor: palette.down,
      borderVisible: false,
    });
    for (const name of LINES) this.#lines[name].applyOptions({ color: palette.accent });
    this.#lines.bollinger_middle.applyOptions({ color: palette.muted, lineStyle: LineStyle.Dashed });
    this.#lines.macd_signal.applyOptions({ color: palette.warn });
    this.#guides();
    if (this.#shown.length) this.#all();
  }

  #guides(): void {
    const rsi = this.#lines.rsi_14;
    for (const line of rsi.priceLines()) rsi.removePriceLine(line);
    for (const price of [30, 70]) {
      rsi.createPriceLine({ price, color: this.#palette.line, lineWidth: 1, axisLabelVisible: false, title: "" });
    }
  }

  /** Show candles of `subject`, oldest first; a new subject resets the view to the newest `span_ms`, or to all. */
  show(subject: string, candles: readonly CandleRow[], span_ms: number | null): void {
    const before = this.#shown;
    const isOther = subject !== this.#subject;
    this.#subject = subject;
    this.#shown = candles;
    const isLonger = before.at(-1)?.at !== candles.at(-1)?.at || before[0]?.at !== candles[0]?.at;
    if (isOther || before.length === 0 || candles.length === 0 || !this.#onlyAdds(before, candles)) this.#all();
    else this.#changed(before, candles);
    if (candles.length && (isOther || before.length === 0)) this.#resetView(span_ms);
    if (isOther || isLonger) this.#overlay();
    this.#write();
  }

  predictions(markers: readonly Marker[]): void {
    this.#predictions = markers;
    this.#overlay();
    this.#write();
  }

  gaps(gaps: readonly GapRow[]): void {
    this.#gaps = gaps;
    this.#overlay();
  }

  #resetView(span_ms: number | null): void {
    const scale = this.#chart.timeScale();
    if (span_ms === null) return scale.fitContent();
    const bars = Math.max(span_ms / MINUTE_MS, FEWEST_BARS);
    const last = this.#minutes.size - 1;
    scale.setVisibleLogicalRange({ from: last - bars, to: last + 2 });
  }

  #digits(): number {
    return format.digitsOf(this.#shown.slice(-120).flatMap((candle) => [candle.high, candle.low, candle.close]));
  }

  /** Whether the new candles only extend the old ones, so that only points change. */
  #onlyAdds(before: readonly CandleRow[], after: readonly CandleRow[]): boolean {
    const last = before.at(-1)?.at ?? 0;
    if ((before[0]?.at ?? 0) !== (after[0]?.at ?? 0)) return false;
    const grown = after.filter((candle) => candle.at > last);
    return after.length - grown.length === before.length && grown.every((c, i) => c.at === last + (i + 1) * MINUTE_MS);
  }

  #changed(before: readonly CandleRow[], after: readonly CandleRow[]): void {
    const last = before.at(-1)?.at ?? 0;
    for (const [index, candle] of after.entries()) {
      if (before[index] !== candle) this.#point({ at: candle.at, candle }, candle.at < last);
      this.#minutes.add(candle.at);
    }
  }

  #point(slot: Slot, isOld: boolean): void {
    this.#candles.update(this.#bar(slot), isOld);
    this.#volume.update(this.#volumeBar(slot), isOld);
    this.#histogram.update(this.#histogramBar(slot), isOld);
    for (const name of LINES) this.#lines[name].update(linePoint(slot, name), isOld);
  }

  #all(): void {
    const all = slots(this.#shown);
    this.#minutes = new Set(all.map((slot) => slot.at));
    const digits = this.#digits();
    this.#chart.applyOptions({ localization: { priceFormatter: (value: number) => format.price(value, digits) } });
    const minMove = 1 / 10 ** digits;
    this.#candles.applyOptions({
      priceFormat: { type: "custom", minMove, formatter: (v: number) => format.price(v, digits) },
    });
    this.#volume.applyOptions({ priceFormat: { type: "custom", minMove: 1e-8, formatter: format.short } });
    this.#lines.rsi_14.applyOptions({
      priceFormat: { type: "custom", minMove: 0.1, formatter: (v: number) => format.fixed(v, 0) },
    });
    for (const series of [this.#lines.macd, this.#lines.macd_signal, this.#histogram]) {
      series.applyOptions({ priceFormat: { type: "custom", minMove: minMove / 10, formatter: format.short } });
    }
    this.#candles.setData(all.map((slot) => this.#bar(slot)));
    this.#volume.setData(all.map((slot) => this.#volumeBar(slot)));
    this.#histogram.setData(all.map((slot) => this.#histogramBar(slot)));
    for (const name of LINES) this.#lines[name].setData(all.map((slot) => linePoint(slot, name)));
  }

  #bar({ at, candle }: Slot) {
    const time = chartTime(at);
    if (!candle) return { time };
    const { open, high, low, close } = candle;
    const quiet = candle.is_quiet ? { color: this.#palette.quiet, wickColor: this.#palette.quiet } : {};
    return { time, open, high, low, close, ...quiet };
  }

  #volumeBar({ at, candle }: Slot) {
    const time = chartTime(at);
    if (!candle) return { time };
    const color = candle.close >= candle.open ? this.#palette.upSoft : this.#palette.downSoft;
    return { time, value: candle.volume, color };
  }

  #histogramBar({ at, candle }: Slot) {
    const time = chartTime(at);
    const value = candle?.macd_histogram ?? null;
    if (value === null) return { time };
    return { time, value, color: value >= 0 ? this.#palette.upSoft : this.#palette.downSoft };
  }

  #overlay(): void {
    const palette = this.#palette;
    const shown = arrows(this.#predictions, MOST_ARROWS).filter((arrow) => this.#minutes.has(arrow.at));
    this.#markers.setMarkers(
      shown.map(({ at, up, right }): SeriesMarker<Time> => ({
        time: chartTime(at),
        position: up ? "belowBar" : "aboveBar",
        shape: up ? "arrowUp" : "arrowDown",
        color: right === null ? palette.muted : right ? (up ? palette.up : palette.down) : palette.quiet,
        size: 0.6,
      })),
    );
    // For tests and assistive technology, which cannot read the canvas.
    this.#container.dataset["gaps"] = String(this.#gaps.length);
    this.#container.dataset["predictions"] = String(shown.length);
    this.#bands.show(this.#gaps, this.#minutes, { fill: palette.band, ink: palette.warn }, t("gap"));
  }

  #hover(event: MouseEventParams): void {
    this.#hovered = event.time === undefined ? null : timeOf(event.time);
    this.#write();
  }

  #write(): void {
    const at = this.#hovered;
    const candle = (at === null ? null : this.#shown.find((one) => one.at === at)) ?? this.#shown.at(-1) ?? null;
    const marker = this.#predictions.find((one) => one.at === candle?.at) ?? null;
    this.#legend.write(candle, marker, this.#digits());
  }
}

function linePoint({ at, candle }: Slot, name: LineName) {
  const value = candle?.[name] ?? null;
  return value === null ? { time: chartTime(at) } : { time: chartTime(at), value };
}
