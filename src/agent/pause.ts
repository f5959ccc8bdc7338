/** A wait that can be cut short, but not to less than a given time. Used by one waiter at a time. */
export class Pause {
  #rearm: ((milliseconds: number) => void) | undefined;
  /** Asked for while nobody waited: it counts for the next wait. */
  #asked = Number.POSITIVE_INFINITY;

  /** Resolves after `milliseconds`, earlier when shortened, and at once when aborted. Keeps no process alive. */
  for(milliseconds: number, signal: AbortSignal): Promise<void> {
    const longest = Math.min(milliseconds, this.#asked);
    this.#asked = Number.POSITIVE_INFINITY;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const startedAt = performance.now();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        this.#rearm = undefined;
        resolve();
      };
      let timer = setTimeout(end, longest).unref();
      this.#rearm = (atLeast) => {
        clearTimeout(timer);
        timer = setTimeout(end, Math.max(0, startedAt + Math.min(longest, atLeast) - performance.now())).unref();
      };
      signal.addEventListener("abort", end, { once: true });
    });
  }

  /** Ends the present wait, or the next one, when it has taken `atLeast` milliseconds. */
  shorten(atLeast: number): void {
    if (this.#rearm) this.#rearm(atLeast);
    else this.#asked = Math.min(this.#asked, atLeast);
  }
}
