// The stream of events: opened again when it breaks, closed when other things are asked for.

import type { EventName } from "./told.ts";

export type Handlers = { [Name in EventName]: (told: unknown) => void };

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

export class Stream {
  readonly #url: string;
  readonly #handlers: Handlers;
  readonly #changed: (isOpen: boolean, times: number) => void;
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST_PAUSE_MS;
  #times = 0;

  /** `changed` hears when the stream opens, for the how manyth time, and when it breaks. */
  constructor(url: string, handlers: Handlers, changed: (isOpen: boolean, times: number) => void) {
    this.#url = url;
    this.#handlers = handlers;
    this.#changed = changed;
    this.#open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open(): void {
    const source = (this.#source = new EventSource(this.#url));
    for (const [name, handle] of Object.entries(this.#handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)));
    }
    source.addEventListener("open", () => {
      this.#wait = FIRST_PAUSE_MS;
      this.#times += 1;
      this.#changed(true, this.#times);
    });
    source.addEventListener("error", () => this.#broken(source));
  }

  /** The browser tries again by itself, except after an answer that was none. */
  #broken(source: EventSource): void {
    this.#changed(false, this.#times);
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    this.#timer = setTimeout(() => this.#open(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_PAUSE_MS);
  }
}
