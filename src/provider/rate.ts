import { RATE_WINDOW } from "../wire/limits.ts";
import { Refusal } from "./refusal.ts";

interface Window {
  /** Milliseconds. */
  endsAt: number;
  used: number;
}

/**
 * Messages per agent and minute, in a fixed window from the first one on, as AI Maestro counts: each authenticated
 * call of `/route`, refused ones too. Kept in memory: a restart forgives, and two processes count apart.
 */
export class RateLimit {
  readonly #perMinute: number;
  readonly #windows = new Map<string, Window>();

  /** 0 is no limit. */
  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Counts one call. The headers for its answer; throws the 429. */
  take(agentId: string, now: number): Record<string, string> {
    if (this.#perMinute === 0) return {};
    const open = this.#windows.get(agentId);
    const window = open && now < open.endsAt ? open : { endsAt: now + RATE_WINDOW, used: 0 };
    this.#windows.set(agentId, window);
    window.used += 1;
    const headers = {
      "X-RateLimit-Limit": String(this.#perMinute),
      "X-RateLimit-Remaining": String(Math.max(0, this.#perMinute - window.used)),
      "X-RateLimit-Reset": String(Math.ceil(window.endsAt / 1000)),
    };
    if (window.used <= this.#perMinute) return headers;
    const wait = String(Math.ceil((window.endsAt - now) / 1000));
    throw new Refusal(429, "rate_limited", `Rate limit exceeded: ${this.#perMinute} requests per minute`, {
      headers: { ...headers, "Retry-After": wait },
    });
  }
}
