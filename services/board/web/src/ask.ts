// Questions to the board, asked again for as long as it says that trying again makes sense.

import type { Refusal } from "./told.ts";

export type Query = Record<string, string | number | readonly string[] | null | undefined>;

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** Elasticsearch is away, too slow, or too many are asking. */
const RETRYABLE = new Set([502, 503, 504]);

export function address(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return `/api/${path}${text ? `?${text}` : ""}`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

async function reasonOf(response: Response): Promise<string> {
  try {
    return ((await response.json()) as Refusal).message;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

/** Return the answer; `refused` hears why there is none yet, and throws what cannot be helped. */
export async function ask<Answer>(
  path: string,
  query: Query,
  signal: AbortSignal,
  refused: (why: string) => void,
): Promise<Answer> {
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
    const response = await fetch(address(path, query), { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      return String(error);
    });
    if (typeof response !== "string" && response.ok) return (await response.json()) as Answer;
    const why = typeof response === "string" ? response : await reasonOf(response);
    refused(why);
    if (typeof response !== "string" && !RETRYABLE.has(response.status)) throw new Error(why);
    await pause(wait, signal);
  }
}
