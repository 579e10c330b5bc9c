// Options of lightweight-charts from our palette. Its own logo would write a style element, which
// the page's policy forbids; the library is named in the footer instead.

import {
  CrosshairMode,
  LineStyle,
  TickMarkType,
  type ChartOptions,
  type DeepPartial,
  type Time,
} from "lightweight-charts";

import * as format from "../format.ts";
import type { Palette } from "./palette.ts";
import { timeOf } from "./series.ts";

function tick(time: Time, kind: TickMarkType): string {
  const at = timeOf(time);
  return kind === TickMarkType.Time || kind === TickMarkType.TimeWithSeconds ? format.time(at) : format.day(at);
}

export function chartOptions(palette: Palette, digits: number): DeepPartial<ChartOptions> {
  return {
    autoSize: false,
    layout: {
      background: { color: palette.ground },
      textColor: palette.muted,
      fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Open Sans', sans-serif",
      fontSize: 11,
      attributionLogo: false,
      panes: { separatorColor: palette.line, separatorHoverColor: palette.band, enableResize: true },
    },
    grid: { vertLines: { visible: false }, horzLines: { color: palette.line } },
    crosshair: {
      mode: CrosshairMode.Normal,
      vertLine: { color: palette.muted, style: LineStyle.Dotted, labelBackgroundColor: palette.muted },
      horzLine: { color: palette.muted, style: LineStyle.Dotted, labelBackgroundColor: palette.muted },
    },
    rightPriceScale: { borderVisible: false, minimumWidth: 72 },
    timeScale: {
      borderVisible: false,
      timeVisible: true,
      secondsVisible: false,
      rightOffset: 2,
      minBarSpacing: 0.4,
      tickMarkFormatter: tick,
    },
    localization: {
      timeFormatter: (time: Time) => format.dayAndTime(timeOf(time)),
      priceFormatter: (value: number) => format.price(value, digits),
    },
    handleScale: { axisPressedMouseMove: { time: true, price: false } },
  };
}
