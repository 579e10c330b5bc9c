// What the chart says in words: the figures of the minute under the pointer, or of the newest, on each pane.

import type { IChartApi } from "lightweight-charts";

import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { CandleRow, Marker } from "../told.ts";
import { say } from "../words.ts";

const PANES = ["price", "volume", "rsi", "macd"] as const;

export class Legend {
  readonly #chart: IChartApi;
  readonly #boxes = PANES.map((name) => h("div", { class: "legend", attr: { "data-pane": name } }));

  constructor(container: HTMLElement, chart: IChartApi) {
    this.#chart = chart;
    container.append(...this.#boxes);
  }

  /** Lay each box at the top of its pane. */
  place(): void {
    requestAnimationFrame(() => {
      for (const [index, pane] of this.#chart.panes().entries()) {
        const box = this.#boxes[index];
        if (box) box.style.top = `${(pane.getHTMLElement()?.offsetTop ?? 0) + 4}px`;
      }
    });
  }

  write(candle: CandleRow | null, marker: Marker | null, digits: number): void {
    const texts = candle ? [prices(candle, marker, digits), volume(candle), rsi(candle), macd(candle)] : [];
    for (const [index, box] of this.#boxes.entries()) {
      put(box, texts[index] ?? "");
      flag(box, "data-at", candle ? String(candle.at) : null);
    }
  }
}

function prices(candle: CandleRow, marker: Marker | null, digits: number): string {
  const price = (value: number | null) => format.price(value, digits);
  const parts = [
    `${format.time(candle.at)}`,
    `${say("open")} ${price(candle.open)}  ${say("high")} ${price(candle.high)}`,
    `${say("low")} ${price(candle.low)}  ${say("closeShort")} ${price(candle.close)}`,
    `VWAP ${price(candle.vwap)}`,
  ];
  const { bollinger_lower: low, bollinger_upper: high } = candle;
  if (low !== null && high !== null) parts.push(`${say("bollinger")}: ${price(low)} – ${price(high)}`);
  if (candle.is_quiet) parts.push(say("quiet"));
  if (marker) {
    const right = marker.scored ? `, ${format.count(marker.hits)}/${format.count(marker.scored)} ${say("right")}` : "";
    parts.push(`${format.count(marker.predictions)} ${say("predicted")} ▲ ${format.count(marker.ups)}${right}`);
  }
  return parts.join("   ");
}

function volume(candle: CandleRow): string {
  const trades = `${say("trades")} ${format.count(candle.trades)}`;
  return `${say("volume")} ${format.short(candle.volume)}   ${trades}   ${say("buy")} ${format.percent(candle.buy_share, 0)}`;
}

function rsi(candle: CandleRow): string {
  return `RSI 14   ${format.fixed(candle.rsi_14, 1)}`;
}

function macd(candle: CandleRow): string {
  const { macd, macd_signal, macd_histogram } = candle;
  return `MACD 12, 26, 9   ${format.short(macd)}   ${format.short(macd_signal)}   ${format.short(macd_histogram)}`;
}
