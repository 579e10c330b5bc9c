// What the rules found, newest first.

import { h } from "../dom.ts";
import * as format from "../format.ts";
import type { AlertRow } from "../told.ts";
import { say } from "../words.ts";

const MOST_ROWS = 12;

export class Alerts {
  readonly element: HTMLElement;
  readonly #list = h("ol", { class: "alert-rows" });

  constructor() {
    const title = h("header", {}, h("h2", { text: say("alerts") }));
    this.element = h("section", { class: "panel alerts", attr: { "aria-live": "polite" } }, title, this.#list);
  }

  show(told: readonly AlertRow[]): void {
    const rows = told.slice(0, MOST_ROWS).map((alert) => {
      const when = h("time", { text: format.time(alert.began_at), title: format.dayAndTime(alert.began_at) });
      const kind = h("b", { text: say(alert.kind) });
      const attr = { "data-severity": alert.severity, "data-id": alert.alert_id };
      return h("li", { attr }, when, kind, h("span", { text: alert.message }));
    });
    this.#list.replaceChildren(...(rows.length ? rows : [h("li", { class: "empty", text: say("noAlerts") })]));
  }
}
