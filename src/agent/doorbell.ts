import { SOCKET_FLOOD, SOCKET_SETTLED } from "../wire/limits.ts";
import { Pace } from "./pace.ts";
import { Pause } from "./pause.ts";

export interface DoorbellOptions {
  /** One connection: calls `ring` for what comes, and resolves when it is over. */
  listen: (ring: () => void, signal: AbortSignal) => Promise<void>;
  now: () => number;
  /** Before a connection that ended is made anew. By default a `Pause`. */
  pause?: ((milliseconds: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/** A connection that says "look" and nothing more, kept open. What it brings is never used: the queue is the truth. */
export class Doorbell {
  readonly #options: DoorbellOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #rings = 0;
  #onRing: (() => void) | undefined;

  constructor(options: DoorbellOptions) {
    this.#options = options;
    this.#running = this.#run(this.#closing.signal);
  }

  /** A look begins: what rang until now is answered by it. */
  answer(): void {
    this.#rings = 0;
  }

  /** Waits as `wait` does, until it rings at the latest. Returns whether it has rung since the last answer. */
  async during(wait: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<boolean> {
    const until = new AbortController();
    const end = () => until.abort();
    if (this.#rings > 0 || signal.aborted) end();
    this.#onRing = end;
    signal.addEventListener("abort", end, { once: true });
    try {
      await wait(until.signal);
    } finally {
      signal.removeEventListener("abort", end);
      this.#onRing = undefined;
    }
    return this.#rings > 0;
  }

  /** Hangs up. Closing twice is fine. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { now, pause = pauseAlone() } = this.#options;
    const pace = new Pace(now);
    while (!signal.aborted) {
      const openedAt = now();
      await this.#connect(signal);
      // Only one that held for a while makes up for those that did not: to be accepted is nothing.
      if (now() - openedAt > SOCKET_SETTLED) pace.quiet();
      await pause(pace.failed(), signal);
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const connection = new AbortController();
    const end = () => connection.abort();
    signal.addEventListener("abort", end, { once: true });
    const ring = () => {
      this.#rings += 1;
      this.#onRing?.();
      if (this.#rings > SOCKET_FLOOD) end();
    };
    // Without it, mail is looked for now and then; nothing is lost that would have to be told.
    await this.#options.listen(ring, connection.signal).catch(() => {});
    signal.removeEventListener("abort", end);
  }
}

function pauseAlone(): NonNullable<DoorbellOptions["pause"]> {
  const pause = new Pause();
  return (milliseconds, signal) => pause.for(milliseconds, signal);
}
