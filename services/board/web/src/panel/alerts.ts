// Alerts, newest first.

import { h } from "../dom.ts";
import * as format from "../format.ts";
import type { AlertRow } from "../api.ts";
import { t } from "../i18n.ts";

const MOST_ROWS = 12;

export class Alerts {
  readonly element: HTMLElement;
  readonly #list = h("ol", { class: "alert-rows" });

  constructor() {
    const title = h("header", {}, h("h2", { text: t("alerts") }));
    this.element = h("section", { class: "panel alerts", attr: { "aria-live": "polite" } }, title, this.#list);
  }

  show(alerts: readonly AlertRow[]): void {
    const rows = alerts.slice(0, MOST_ROWS).map((alert) => {
      const when = h("time", { text: format.time(alert.began_at), title: format.dayAndTime(alert.began_at) });
      const kind = h("b", { text: t(alert.kind) });
      const attr = { "data-severity": alert.severity, "data-id": alert.alert_id };
      return h("li", { attr }, when, kind, h("span", { text: alert.message }));
    });
    this.#list.replaceChildren(...(rows.length ? rows : [h("li", { class: "empty", text: t("noAlerts") })]));
  }
}
