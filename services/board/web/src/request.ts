// Queries to the API of the board, retried while the error is retryable.

import type { ErrorResponse } from "./api.ts";

export type Query = Record<string, string | number | readonly string[] | null | undefined>;

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** Elasticsearch is unavailable or timed out, or a limit is reached. */
const RETRYABLE = new Set([502, 503, 504]);

export function apiUrl(path: string, query: Query): string {
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
    return ((await response.json()) as ErrorResponse).message;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

/** Return the response. `onError` gets the reason of each failed attempt. Throws on an error that is not retryable. */
export async function request<Content>(
  path: string,
  query: Query,
  signal: AbortSignal,
  onError: (reason: string) => void,
): Promise<Content> {
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
    const response = await fetch(apiUrl(path, query), { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      return String(error);
    });
    if (typeof response !== "string" && response.ok) return (await response.json()) as Content;
    const reason = typeof response === "string" ? response : await reasonOf(response);
    onError(reason);
    if (typeof response !== "string" && !RETRYABLE.has(response.status)) throw new Error(reason);
    await pause(wait, signal);
  }
}
