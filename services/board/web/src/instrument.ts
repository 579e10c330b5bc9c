// An instrument: venue, market type and symbol. Its text `bybit:spot:BTCUSDT` is the key of rows, links and queries. Pure.

import { MARKET_TYPES, type InstrumentRow } from "./api.ts";

export type Instrument = InstrumentRow;

/** As in tapeline.instrument: no `|`, white space or control characters in a symbol, which may hold `:` and `/`. */
const FORM = /^([a-z0-9_-]{1,16}):([a-z]+):([^|\s\u0000-\u001f\u007f-\u009f]{1,64})$/u;

/** Return the instrument of an object with more fields. */
export function instrumentOf({ venue, market_type, symbol }: Instrument): Instrument {
  return { venue, market_type, symbol };
}

/** Return the text of an instrument. */
export function keyOf({ venue, market_type, symbol }: Instrument): string {
  return `${venue}:${market_type}:${symbol}`;
}

/** Return the display name; without a market type it is spot. */
export function nameOf({ venue, market_type, symbol }: Instrument): string {
  return market_type === "spot" ? `${symbol} ${venue}` : `${symbol} ${market_type} ${venue}`;
}

/** Return where an instrument is traded, for display beside its symbol. */
export function marketOf({ venue, market_type }: Instrument): string {
  return `${venue} ${market_type}`;
}

export function isSameInstrument(one: Instrument | null, other: Instrument | null): boolean {
  if (one === null || other === null) return one === other;
  return keyOf(one) === keyOf(other);
}

/** Return the instrument of a text, null where the text names none. */
export function parseInstrument(text: string | null): Instrument | null {
  const [, venue, type, symbol] = FORM.exec(text ?? "") ?? [];
  const market_type = MARKET_TYPES.find((known) => known === type);
  return venue && market_type && symbol ? { venue, market_type, symbol } : null;
}
