// Draws a Vega specification whose data are given: SVG, rows of data sets, and what Vega complained of, as JSON.
// Standard input: {"spec": ..., "width": ..., "height": ...}
import { parse, View, Warn, loader } from "vega";

const input = JSON.parse(await new Promise((done) => {
  let text = "";
  process.stdin.on("data", (part) => { text += part; }).on("end", () => done(text));
}));
const complaints = [];
const logger = {
  level() { return this; },
  error(...words) { complaints.push(words.join(" ")); return this; },
  warn(...words) { complaints.push(words.join(" ")); return this; },
  info() { return this; },
  debug() { return this; },
};
const spec = { ...input.spec, width: input.width, height: input.height };
const refused = loader();
refused.load = (uri) => Promise.reject(new Error(`nothing may be fetched, and ${uri} was asked for`));
const view = new View(parse(spec), { renderer: "none", logLevel: Warn, logger, loader: refused });
const svg = await view.toSVG();
const data = Object.fromEntries(input.datasets.map((name) => [name, view.data(name)]));
process.stdout.write(JSON.stringify({ svg, data, complaints }));
