import { setTimeout as pause } from "node:timers/promises";
import type { Agent, Dispatcher } from "undici";
import { AmpError, systemCode } from "../errors.ts";
import { LIMITED_PAUSE_MIN, REFUSED_PAUSES, REQUEST_DEADLINE, RESPONSE_MAX_BYTES } from "../wire/limits.ts";

export interface HttpRequest {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  url: URL;
  apiKey?: string | undefined;
  /** JSON text, sent as these very bytes. */
  body?: string;
  /** Milliseconds for everything: connecting, waiting, retries. Default `REQUEST_DEADLINE`. */
  deadline?: number;
  signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: Record<string, string>;
  text: string;
}

export interface HttpOptions {
  /** Called when nobody listens at an origin; `true` says that somebody does now. */
  revive?: ((origin: URL) => Promise<boolean>) | undefined;
  /** Milliseconds since 1970. */
  now?: () => number;
  wait?: (milliseconds: number, signal?: AbortSignal) => Promise<unknown>;
}

/**
 * Requests to providers over kept-alive connections. A request is repeated only if it certainly did not reach the
 * provider (nobody listened) or was certainly not acted on (429); every other failure is reported as unclear.
 */
export class Http {
  #agent: Promise<Agent> | undefined;
  readonly #revive: HttpOptions["revive"];
  readonly #now: () => number;
  readonly #wait: (milliseconds: number, signal?: AbortSignal) => Promise<unknown>;

  constructor(options: HttpOptions = {}) {
    this.#revive = options.revive;
    this.#now = options.now ?? Date.now;
    this.#wait = options.wait ?? ((milliseconds, signal) => pause(milliseconds, undefined, { signal }));
  }

  /**
   * @throws AmpError `unreachable` (nothing was sent), `outcome_unknown` (it may have arrived), `too_large`,
   *   `rate_limited` (the pause asked for is longer than the deadline allows).
   */
  async request(request: HttpRequest): Promise<HttpAnswer> {
    const until = this.#now() + (request.deadline ?? REQUEST_DEADLINE);
    for (let attempt = 0; ; attempt++) {
      const left = until - this.#now();
      try {
        const answer = await this.#once(request, Math.max(1, left));
        if (answer.status !== 429) return answer;
        await this.#afterLimit(answer, until, request);
      } catch (thrown) {
        if (!(thrown instanceof NobodyThere)) throw thrown;
        const pauseFor = REFUSED_PAUSES[attempt];
        if (attempt === 0 && (await this.#revive?.(request.url))) continue;
        if (pauseFor === undefined || this.#now() + pauseFor >= until) throw unreachable(request.url, thrown.cause);
        await this.#pause(pauseFor, request);
      }
    }
  }

  /** A caller may give up while we wait; at that moment nothing is under way. */
  async #pause(milliseconds: number, { url, signal }: HttpRequest): Promise<void> {
    try {
      await this.#wait(milliseconds, signal);
    } catch (thrown) {
      throw signal?.aborted ? cancelled(url, thrown) : thrown;
    }
  }

  async #afterLimit(answer: HttpAnswer, until: number, request: HttpRequest): Promise<void> {
    const pauseFor = pauseAskedFor(answer.headers, this.#now());
    if (pauseFor !== undefined && this.#now() + pauseFor < until) {
      await this.#pause(pauseFor, request);
      return;
    }
    const when = pauseFor === undefined ? "in a minute" : `in ${Math.ceil(pauseFor / 1000)} s`;
    throw new AmpError("rate_limited", {
      message: "The provider takes no more requests from this agent for now (HTTP 429).",
      notDone: "the request was refused as a whole.",
      next: `Call again ${when}.`,
      mender: "time",
      retryAfter: pauseFor,
    });
  }

  /** Loaded with the first request: hosts wait for a server to start, and undici is a fifth of that. */
  #connections(): Promise<Agent> {
    this.#agent ??= import("./connections.ts").then(({ openConnections }) => openConnections());
    return this.#agent;
  }

  async #once(request: HttpRequest, deadline: number): Promise<HttpAnswer> {
    const { url, signal } = request;
    if (signal?.aborted) throw cancelled(url, signal.reason);
    // Not `AbortSignal.any` with `AbortSignal.timeout`: Node 20 collects the timeout as garbage, and it never fires.
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(new DOMException("the deadline passed", "TimeoutError")), deadline);
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await this.#exchange(request, stop.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #exchange({ url, method, body, apiKey }: HttpRequest, stop: AbortSignal): Promise<HttpAnswer> {
    const agent = await this.#connections();
    if (stop.aborted) throw cancelled(url, stop.reason);
    return new Promise((resolve, reject) => {
      const collector = new Collector(url, resolve, reject);
      stop.addEventListener("abort", () => collector.abort(stop.reason), { once: true });
      agent.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method,
          headers: {
            accept: "application/json",
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
          },
          body: body ?? null,
        },
        collector,
      );
    });
  }

  /** Ends every connection at once. Closing twice is fine. */
  async close(): Promise<void> {
    await (await this.#agent)?.destroy().catch(() => {});
  }
}

/** The connection was never made. */
class NobodyThere extends Error {}

/** One exchange: remembers whether the request went out, and stops at the size cap. */
class Collector implements Dispatcher.DispatchHandler {
  readonly #url: URL;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: Record<string, string> = {};
  #chunks: Buffer[] = [];
  #bytes = 0;
  #aborted: Error | undefined;

  constructor(url: URL, resolve: (answer: HttpAnswer) => void, reject: (error: Error) => void) {
    this.#url = url;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  abort(reason: unknown): void {
    this.#aborted = reason instanceof Error ? reason : new Error("aborted");
    if (this.#controller) this.#controller.abort(this.#aborted);
    else this.#reject(unreachable(this.#url, this.#aborted));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(this.#aborted);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    this.#headers = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
    );
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#bytes > RESPONSE_MAX_BYTES) controller.abort(tooLarge(this.#url));
  }

  onResponseEnd(): void {
    this.#resolve({ status: this.#status, headers: this.#headers, text: Buffer.concat(this.#chunks).toString("utf8") });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (error instanceof AmpError) this.#reject(error);
    else if (this.#controller) this.#reject(unclear(this.#url, error));
    else this.#reject(new NobodyThere("no connection", { cause: error }));
  }
}

/**
 * Milliseconds until a limited provider wants to hear from us: `Retry-After` (seconds or a date), else the reset. Both
 * are given in whole seconds, so "now" may still be one away; asking again at once would only be refused again.
 */
function pauseAskedFor(headers: Record<string, string>, now: number): number | undefined {
  const asked = pauseIn(headers, now);
  return asked === undefined ? undefined : Math.max(LIMITED_PAUSE_MIN, asked);
}

function pauseIn(headers: Record<string, string>, now: number): number | undefined {
  const after = headers["retry-after"];
  if (after !== undefined) {
    const at = /^\d+$/.test(after) ? now + Number(after) * 1000 : Date.parse(after);
    return Number.isNaN(at) ? undefined : at - now;
  }
  const reset = Number(headers["x-ratelimit-reset"] ?? Number.NaN);
  return Number.isFinite(reset) ? reset * 1000 - now : undefined;
}

function unreachable(url: URL, cause: unknown): AmpError {
  const code = systemCode(cause);
  return new AmpError("unreachable", {
    message: `No provider answers at ${url.origin}${code ? ` (${code})` : ""}.`,
    notDone: "nothing was sent, nothing was changed.",
    next: "Start AI Maestro, or the built-in provider (`amp-mcp provider`, or --embedded in the host's configuration), or give the right URL (--provider or AMP_PROVIDER_URL); then call again.",
    mender: "person",
    cause,
  });
}

function cancelled(url: URL, cause: unknown): AmpError {
  return new AmpError("unreachable", {
    message: `The call was cancelled before the request to ${url.origin} was made.`,
    notDone: "nothing was sent.",
    next: "Call again if it is still wanted.",
    mender: "caller",
    cause,
  });
}

function unclear(url: URL, cause: Error): AmpError {
  return new AmpError("outcome_unknown", {
    message: `The connection to ${url.origin} broke or timed out after the request was sent (${systemCode(cause) ?? cause.name}). Whether the provider acted on it is unknown.`,
    notDone: "it was not sent a second time.",
    next: "Look first whether it was done (ask the recipient, or amp_status) before you repeat it.",
    mender: "caller",
    cause,
  });
}

function tooLarge(url: URL): AmpError {
  return new AmpError("too_large", {
    message: `The answer of ${url.origin} is larger than ${RESPONSE_MAX_BYTES / 1024 / 1024} MiB.`,
    notDone: "the answer was not used.",
    next: "Check that this URL is an AMP provider.",
    mender: "provider",
  });
}
