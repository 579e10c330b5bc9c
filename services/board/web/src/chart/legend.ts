// Legend of each pane: the values of the minute under the pointer, or of the newest minute.

import type { IChartApi } from "lightweight-charts";

import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { CandleRow, Marker } from "../api.ts";
import { t } from "../i18n.ts";

const PANES = ["price", "volume", "rsi", "macd"] as const;

export class Legend {
  readonly #chart: IChartApi;
  readonly #boxes = PANES.map((name) => h("div", { class: "legend", attr: { "data-pane": name } }));

  constructor(container: HTMLElement, chart: IChartApi) {
    this.#chart = chart;
    container.append(...this.#boxes);
  }

  /** Place each box at the top of its pane. */
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
    `${t("open")} ${price(candle.open)}  ${t("high")} ${price(candle.high)}`,
    `${t("low")} ${price(candle.low)}  ${t("closeShort")} ${price(candle.close)}`,
    `VWAP ${price(candle.vwap)}`,
  ];
  const { bollinger_lower: low, bollinger_upper: high } = candle;
  if (low !== null && high !== null) parts.push(`${t("bollinger")}: ${price(low)} – ${price(high)}`);
  if (candle.is_quiet) parts.push(t("quiet"));
  if (marker) {
    const right = marker.scored ? `, ${format.count(marker.hits)}/${format.count(marker.scored)} ${t("right")}` : "";
    parts.push(`${format.count(marker.predictions)} ${t("predicted")} ▲ ${format.count(marker.ups)}${right}`);
  }
  return parts.join("   ");
}

function volume(candle: CandleRow): string {
  const trades = `${t("trades")} ${format.count(candle.trades)}`;
  return `${t("volume")} ${format.short(candle.volume)}   ${trades}   ${t("buy")} ${format.percent(candle.buy_share, 0)}`;
}

function rsi(candle: CandleRow): string {
  return `RSI 14   ${format.fixed(candle.rsi_14, 1)}`;
}

function macd(candle: CandleRow): string {
  const { macd, macd_signal, macd_histogram } = candle;
  return `MACD 12, 26, 9   ${format.short(macd)}   ${format.short(macd_signal)}   ${format.short(macd_histogram)}`;
}
