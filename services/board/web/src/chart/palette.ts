// Reads the colours of the style sheet for drawing on a canvas.

export interface Palette {
  ground: string;
  ink: string;
  muted: string;
  line: string;
  up: string;
  down: string;
  upSoft: string;
  downSoft: string;
  accent: string;
  band: string;
  warn: string;
  quiet: string;
}

const NAMES: Record<keyof Palette, string> = {
  ground: "--ground",
  ink: "--ink",
  muted: "--muted",
  line: "--line",
  up: "--up",
  down: "--down",
  upSoft: "--up-soft",
  downSoft: "--down-soft",
  accent: "--accent",
  band: "--band",
  warn: "--warn",
  quiet: "--quiet",
};

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const entries = Object.entries(NAMES).map(([name, variable]) => [name, style.getPropertyValue(variable).trim()]);
  return Object.fromEntries(entries) as Palette;
}
