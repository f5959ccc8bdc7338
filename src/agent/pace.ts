import { ASKED_MAX, BURST, BURST_REFILL, FAILED_MAX, FAILED_MIN, IDLE_MAX, IDLE_MIN } from "../wire/limits.ts";

/**
 * How long to wait before a provider is asked again: little after activity, longer the longer nothing happens, longer
 * still while it fails. Whatever it answers, a burst of questions ends in a steady few a second.
 */
export class Pace {
  readonly #random: () => number;
  readonly #now: () => number;
  #interval = IDLE_MIN;
  #failure = 0;
  #tokens = BURST;
  #refilledAt: number;

  constructor(now: () => number, random: () => number = Math.random) {
    this.#now = now;
    this.#random = random;
    this.#refilledAt = now();
  }

  /**
   * It brought something, held the request as it was asked to, or has more to show: go on at once, as long as that is
   * not all the time. "More" alone does not make up for a failure: what is shown next may fail again.
   */
  goOn(sign: "news" | "held" | "more"): number {
    if (sign === "news") this.activity();
    if (sign !== "more") this.#failure = 0;
    this.#refill();
    this.#tokens = Math.max(0, this.#tokens - 1);
    return this.#tokens > 0 ? 0 : BURST_REFILL;
  }

  quiet(): number {
    this.#failure = 0;
    const pause = this.#interval;
    this.#interval = Math.min(IDLE_MAX, this.#interval * 1.5);
    return this.#jittered(pause);
  }

  /** @param asked The pause that the provider asked for, where it did. */
  failed(asked = 0): number {
    this.#failure = Math.min(FAILED_MAX, this.#failure === 0 ? FAILED_MIN : this.#failure * 2);
    return Math.max(this.#jittered(this.#failure), Math.min(asked, ASKED_MAX));
  }

  /** Somebody is sending, waiting or reading: an answer may be near. */
  activity(): void {
    this.#interval = IDLE_MIN;
  }

  #refill(): void {
    const now = this.#now();
    this.#tokens = Math.min(BURST, this.#tokens + Math.max(0, now - this.#refilledAt) / BURST_REFILL);
    this.#refilledAt = now;
  }

  /** Several machines that lost one provider do not come back in step. */
  #jittered(pause: number): number {
    return pause * (0.8 + 0.4 * this.#random());
  }
}
