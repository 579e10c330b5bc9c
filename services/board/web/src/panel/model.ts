// The model card: what serves, how its predictions turned out in the last hour, and the training runs before it.

import { STATES } from "../choice.ts";
import { flag, h, put } from "../dom.ts";
import * as format from "../format.ts";
import type { ModelAnswer, ModelScores, Score, ServedModel, Verdict } from "../told.ts";
import { say } from "../words.ts";
import { Calibration } from "./calibration.ts";

const MOST_VERDICTS = 6;

type Fact = readonly [name: string, value: string, raw?: number | string | null | undefined];

/** Return the scores of the model that serves, else of the one with most predictions. */
export function scoresNow(told: ModelAnswer): ModelScores | null {
  const digest = told.served?.model_digest;
  return told.scores.find((one) => one.total.model_digest === digest) ?? told.scores[0] ?? null;
}

/** Return the one sentence that the card is about. */
export function sentence(score: Score | null): { tone: "good" | "bad" | "none"; text: string } {
  if (!score || score.skill === null || score.predictions === 0) return { tone: "none", text: say("unscored") };
  const skill = format.percent(score.skill, 2);
  return score.skill > 0
    ? { tone: "good", text: say("better", { skill }) }
    : { tone: "bad", text: say("worse", { skill }) };
}

export class ModelCard {
  readonly element: HTMLElement;
  readonly #now = h("strong", { class: "verdict" });
  /** The scores may be of another model than the one that serves now. */
  readonly #whose = h("span", { class: "note" });
  readonly #facts = h("dl", { class: "facts served" });
  readonly #scores = h("dl", { class: "facts scores" });
  readonly #states = h("div", { class: "state-bar" });
  readonly #stateKeys = h("div", { class: "state-keys" });
  readonly #verdicts = h("ol", { class: "verdicts" });
  readonly #calibration = new Calibration();

  constructor() {
    const title = h(
      "header",
      {},
      h("h2", { text: say("modelTitle") }),
      this.#now,
      this.#whose,
    );
    const states = h("div", { class: "states" }, h("h3", { text: say("states") }), this.#states, this.#stateKeys);
    const runs = h("div", { class: "runs" }, h("h3", { text: say("verdicts") }), this.#verdicts);
    const left = h("div", { class: "model-left" }, this.#scores, this.#facts, states);
    const parts = h("div", { class: "model-parts" }, left, this.#calibration.element, runs);
    this.element = h("section", { class: "panel model" }, title, parts);
  }

  show(told: ModelAnswer, now: number): void {
    const score = scoresNow(told);
    const verdict = sentence(score?.total ?? null);
    put(this.#now, verdict.text);
    const digest = score?.total.model_digest;
    put(this.#whose, digest ? `${say("lastHour")}, ${format.digest(digest)}` : say("lastHour"));
    flag(this.#now, "data-tone", verdict.tone);
    this.#scores.replaceChildren(...facts(scoreFacts(score?.total ?? null)));
    this.#facts.replaceChildren(...facts(servedFacts(told.served, told.served_reason, now)));
    this.#calibration.show(score?.bins ?? []);
    this.#showStates(told.states);
    const runs = told.verdicts.slice(0, MOST_VERDICTS).map((run) => verdictRow(run, now));
    this.#verdicts.replaceChildren(...(runs.length ? runs : [h("li", { class: "empty", text: say("noVerdicts") })]));
  }

  #showStates(told: ModelAnswer["states"]): void {
    const known = STATES.flatMap((state) => (told[state] ? [[state, told[state]] as const] : []));
    const all = known.reduce((sum, [, count]) => sum + count, 0) || 1;
    this.#states.replaceChildren(
      ...known.map(([state, count]) => {
        const part = h("i", { title: say(state), attr: { "data-state": state } });
        part.style.inlineSize = `${((count / all) * 100).toFixed(2)}%`;
        return part;
      }),
    );
    this.#stateKeys.replaceChildren(
      ...known.map(([state, count]) =>
        h("span", { attr: { "data-state": state } }, h("i"), `${say(state)} ${format.percent(count / all)}`),
      ),
    );
  }
}

function facts(told: readonly Fact[]): HTMLElement[] {
  return told.map(([name, value, raw]) => {
    const attr = { "data-value": raw === undefined || raw === null ? null : String(raw) };
    return h("div", {}, h("dt", { text: name }), h("dd", { text: value, attr }));
  });
}

function scoreFacts(score: Score | null): Fact[] {
  return [
    [say("hitRate"), format.percent(score?.hit_rate), score?.hit_rate],
    [say("ruleRate"), format.percent(score?.rule_hit_rate), score?.rule_hit_rate],
    [say("baseRate"), format.percent(score?.base_rate), score?.base_rate],
    [say("brier"), format.fixed(score?.brier, 4), score?.brier],
    [`${say("brier")}, ${say("prior")}`, format.fixed(score?.prior_brier, 4), score?.prior_brier],
    [say("scored"), format.count(score?.predictions), score?.predictions],
    [say("pending"), format.count(score?.pending), score?.pending],
  ];
}

function servedFacts(served: ServedModel | null, reason: string | null, now: number): Fact[] {
  if (!served) return [[say("model"), reason ?? say("noModel")]];
  const left = served.expires_at - now;
  return [
    [say("model"), `${served.kind} ${format.digest(served.model_digest)}`, served.model_digest],
    [say("age"), format.length(now - served.created_at), served.created_at],
    [say("expires"), served.is_expired || left <= 0 ? say("expired") : format.length(left), served.expires_at],
    [say("threshold"), format.fixed(served.threshold, 3), served.threshold],
    [say("features"), served.feature_version, served.feature_version],
    [say("label"), served.label_version, served.label_version],
  ];
}

function verdictRow(run: Verdict, now: number): HTMLElement {
  const outcome = say(run.promoted ? "promoted" : "notPromoted");
  const skill =
    run.brier_skill_vs_prior === null ? "" : `${say("skill")} ${format.percent(run.brier_skill_vs_prior, 2)}`;
  const auc = run.auc === null ? "" : `AUC ${format.fixed(run.auc, 3)}`;
  const when = h("time", { text: format.length(now - run.judged_at), title: format.dayAndTime(run.judged_at) });
  const digest = h("code", { text: run.digest ? format.digest(run.digest) : "" });
  const words = h("b", { text: outcome, attr: { "data-tone": run.promoted ? "good" : "none" } });
  const figures = h("span", { text: [auc, skill].filter(Boolean).join("  ") });
  return h("li", { title: run.reasons.join("\n") }, when, words, digest, figures);
}
