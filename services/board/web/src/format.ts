// Formats numbers and times in the language of the page. Pure but for the time zone of the browser.

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();
let locale = "en-GB";

export function setLocale(language: string): void {
  locale = language === "it" ? "it-IT" : "en-GB";
  cache.clear();
}

function number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `n${JSON.stringify(options)}`;
  let format = cache.get(key);
  if (!format) cache.set(key, (format = new Intl.NumberFormat(locale, options)));
  return format as Intl.NumberFormat;
}

function moment(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `d${JSON.stringify(options)}`;
  let format = cache.get(key);
  if (!format) cache.set(key, (format = new Intl.DateTimeFormat(locale, { hourCycle: "h23", ...options })));
  return format as Intl.DateTimeFormat;
}

export const NOTHING = "–";

/** Return the decimals of a price of this size: about six significant digits. */
export function priceDigits(price: number): number {
  if (!(price > 0)) return 2;
  return Math.min(10, Math.max(2, 5 - Math.floor(Math.log10(price)) - 1));
}

/** Return the most decimals among these prices. */
export function digitsOf(prices: Iterable<number>): number {
  let most = 0;
  for (const price of prices) {
    const [mantissa = "", exponent = "0"] = String(price).split("e");
    const behind = (mantissa.split(".")[1] ?? "").length - Number(exponent);
    if (behind > most) most = behind;
  }
  return Math.min(most, 10);
}

export function price(value: number | null | undefined, digits?: number): string {
  if (value === null || value === undefined) return NOTHING;
  const places = digits ?? priceDigits(value);
  return number({ minimumFractionDigits: places, maximumFractionDigits: places }).format(value);
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NOTHING : number({ maximumFractionDigits: 0 }).format(value);
}

/** 12.3K, 4.56M: for sums where the size matters. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  if (Math.abs(value) < 1) return number({ maximumSignificantDigits: 3 }).format(value);
  return number({ notation: "compact", maximumSignificantDigits: 3 }).format(value);
}

export function percent(share: number | null | undefined, digits = 1): string {
  if (share === null || share === undefined) return NOTHING;
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return number({ style: "percent", ...places }).format(share);
}

export function basisPoints(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined) return NOTHING;
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${number({ signDisplay: "exceptZero", ...places }).format(value)} bp`;
}

export function fixed(value: number | null | undefined, digits: number, sign = false): string {
  if (value === null || value === undefined) return NOTHING;
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return number({ ...places, ...(sign ? { signDisplay: "exceptZero" as const } : {}) }).format(value);
}

export function time(at: number, seconds = false): string {
  return moment({ hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" as const } : {}) }).format(at);
}

export function day(at: number): string {
  return moment({ day: "numeric", month: "short" }).format(at);
}

export function dayAndTime(at: number): string {
  return moment({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(at);
}

export function zone(at: number): string {
  const parts = moment({ timeZoneName: "short" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
];

/** 3 h, 12 min: one unit, the largest that fits. */
export function length(ms: number): string {
  const size = Math.abs(ms);
  const [unit, name] = UNITS.find(([one]) => size >= one) ?? [1_000, "second"];
  const value = Math.floor(size / unit);
  return number({ style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: 0 }).format(value);
}

/** The first characters of a digest are enough to distinguish models. */
export function digest(value: string): string {
  return value.replace(/^sha256:/, "").slice(0, 10);
}
