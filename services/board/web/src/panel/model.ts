// The model card: the served model, its scores in the last hour, and the last training runs.

import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import { PREDICTION_STATES } from "../api.ts";
import type { ModelResponse, ModelScores, Score, ServedModel, TrainingRun } from "../api.ts";
import { t } from "../i18n.ts";
import { Calibration } from "./calibration.ts";

const MOST_TRAINING_RUNS = 6;

type Fact = readonly [name: string, value: string, raw?: number | string | null | undefined];

/** Return the scores of the served model, else of the model with most predictions. */
export function scoresNow(response: ModelResponse): ModelScores | null {
  const digest = response.served?.model_digest;
  return response.scores.find((one) => one.total.model_digest === digest) ?? response.scores[0] ?? null;
}

/** Return the summary of the card. */
export function summaryOf(score: Score | null): { tone: "good" | "bad" | "none"; text: string } {
  if (!score || score.skill === null || score.predictions === 0) return { tone: "none", text: t("unscored") };
  const skill = format.percent(score.skill, 2);
  return score.skill > 0
    ? { tone: "good", text: t("better", { skill }) }
    : { tone: "bad", text: t("worse", { skill }) };
}

export class ModelCard {
  readonly element: HTMLElement;
  readonly #summary = h("strong", { class: "summary" });
  /** The scores may belong to another model than the served one. */
  readonly #scoredModel = h("span", { class: "note" });
  readonly #facts = h("dl", { class: "facts served" });
  readonly #scores = h("dl", { class: "facts scores" });
  readonly #states = h("div", { class: "state-bar" });
  readonly #stateKeys = h("div", { class: "state-keys" });
  readonly #trainingRuns = h("ol", { class: "training-runs" });
  readonly #calibration = new Calibration();

  constructor() {
    const title = h(
      "header",
      {},
      h("h2", { text: t("modelTitle") }),
      this.#summary,
      this.#scoredModel,
    );
    const states = h("div", { class: "states" }, h("h3", { text: t("states") }), this.#states, this.#stateKeys);
    const runs = h("div", { class: "runs" }, h("h3", { text: t("trainingRuns") }), this.#trainingRuns);
    const left = h("div", { class: "model-left" }, this.#scores, this.#facts, states);
    const parts = h("div", { class: "model-parts" }, left, this.#calibration.element, runs);
    this.element = h("section", { class: "panel model" }, title, parts);
  }

  show(response: ModelResponse, now: number): void {
    const score = scoresNow(response);
    const summary = summaryOf(score?.total ?? null);
    put(this.#summary, summary.text);
    const digest = score?.total.model_digest;
    put(this.#scoredModel, digest ? `${t("lastHour")}, ${format.digest(digest)}` : t("lastHour"));
    flag(this.#summary, "data-tone", summary.tone);
    this.#scores.replaceChildren(...facts(scoreFacts(score?.total ?? null)));
    this.#facts.replaceChildren(...facts(servedFacts(response.served, response.served_reason, now)));
    this.#calibration.show(score?.bins ?? []);
    this.#showStates(response.states);
    const runs = response.training_runs.slice(0, MOST_TRAINING_RUNS).map((run) => trainingRunRow(run, now));
    this.#trainingRuns.replaceChildren(...(runs.length ? runs : [h("li", { class: "empty", text: t("noTrainingRuns") })]));
  }

  #showStates(counts: ModelResponse["states"]): void {
    const known = PREDICTION_STATES.flatMap((state) => (counts[state] ? [[state, counts[state]] as const] : []));
    const all = known.reduce((sum, [, count]) => sum + count, 0) || 1;
    this.#states.replaceChildren(
      ...known.map(([state, count]) => {
        const part = h("i", { title: t(state), attr: { "data-state": state } });
        part.style.inlineSize = `${((count / all) * 100).toFixed(2)}%`;
        return part;
      }),
    );
    this.#stateKeys.replaceChildren(
      ...known.map(([state, count]) =>
        h("span", { attr: { "data-state": state } }, h("i"), `${t(state)} ${format.percent(count / all)}`),
      ),
    );
  }
}

function facts(rows: readonly Fact[]): HTMLElement[] {
  return rows.map(([name, value, raw]) => {
    const attr = { "data-value": raw === undefined || raw === null ? null : String(raw) };
    return h("div", {}, h("dt", { text: name }), h("dd", { text: value, attr }));
  });
}

function scoreFacts(score: Score | null): Fact[] {
  return [
    [t("hitRate"), format.percent(score?.hit_rate), score?.hit_rate],
    [t("ruleRate"), format.percent(score?.rule_hit_rate), score?.rule_hit_rate],
    [t("baseRate"), format.percent(score?.base_rate), score?.base_rate],
    [t("brier"), format.fixed(score?.brier, 4), score?.brier],
    [`${t("brier")}, ${t("prior")}`, format.fixed(score?.prior_brier, 4), score?.prior_brier],
    [t("scored"), format.count(score?.predictions), score?.predictions],
    [t("pending"), format.count(score?.pending), score?.pending],
  ];
}

function servedFacts(served: ServedModel | null, reason: string | null, now: number): Fact[] {
  if (!served) return [[t("model"), reason ?? t("noModel")]];
  const left = served.expires_at - now;
  return [
    [t("model"), `${served.kind} ${format.digest(served.model_digest)}`, served.model_digest],
    [t("age"), format.length(now - served.created_at), served.created_at],
    [t("expires"), served.is_expired || left <= 0 ? t("expired") : format.length(left), served.expires_at],
    [t("threshold"), format.fixed(served.threshold, 3), served.threshold],
    [t("features"), served.feature_version, served.feature_version],
    [t("label"), served.label_version, served.label_version],
  ];
}

function trainingRunRow(run: TrainingRun, now: number): HTMLElement {
  const outcome = t(run.promoted ? "promoted" : "notPromoted");
  const skill =
    run.brier_skill_vs_prior === null ? "" : `${t("skill")} ${format.percent(run.brier_skill_vs_prior, 2)}`;
  const auc = run.auc === null ? "" : `AUC ${format.fixed(run.auc, 3)}`;
  const when = h("time", { text: format.length(now - run.evaluated_at), title: format.dayAndTime(run.evaluated_at) });
  const digest = h("code", { text: run.digest ? format.digest(run.digest) : "" });
  const label = h("b", { text: outcome, attr: { "data-tone": run.promoted ? "good" : "none" } });
  const figures = h("span", { text: [auc, skill].filter(Boolean).join("  ") });
  return h("li", { title: run.reasons.join("\n") }, when, label, digest, figures);
}
