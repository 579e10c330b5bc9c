// The stream of server-sent events: reconnects after an error, and closes on request.

import type { EventName } from "./api.ts";

export type Handlers = { [Name in EventName]: (event: unknown) => void };

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

  /** `changed` is called when the stream opens, with the number of times it opened, and when it breaks. */
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
    source.addEventListener("error", () => this.#handleError(source));
  }

  /** The browser reconnects by itself, except after an error response. */
  #handleError(source: EventSource): void {
    this.#changed(false, this.#times);
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    this.#timer = setTimeout(() => this.#open(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_PAUSE_MS);
  }
}
