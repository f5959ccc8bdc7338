import { CursorExpired, type PendingPage, type ProviderClient } from "../client/provider.ts";
import { type AmpError, toAmpError } from "../errors.ts";
import { BURST_REFILL, LONG_POLL, LONG_POLL_HELD } from "../wire/limits.ts";
import { Doorbell, type DoorbellOptions } from "./doorbell.ts";
import type { Intake } from "./intake.ts";
import { Pace } from "./pace.ts";

/** How mail comes from a provider, by what it says it can do; `undefined` before it was asked. */
export type Way = "long-poll" | "websocket" | "count" | "poll";

/** What one look at the provider brought. */
interface Round {
  arrived: number;
  /** The provider held the request, or has more to show: the next one may follow at once. */
  goesOn: "held" | "more" | undefined;
}

export interface ReceiverOptions {
  now: () => number;
  /** Resolves after that many milliseconds, earlier when the receiver is to look now, and at once when aborted. */
  pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Looks at a place where mail lies besides the queue, and says how much of it is new. */
  elsewhere?: ((signal: AbortSignal) => Promise<number>) | undefined;
  /** Before a WebSocket that ended is opened again. */
  doorbellPause?: DoorbellOptions["pause"];
}

/**
 * Brings a provider's mail to disk as it comes: by long-poll where the provider lists `notify:longpoll`, by the count
 * call where it lists `notify:v1` (draft of the protocol, section 12.3), with a WebSocket as a doorbell where it lists
 * that, too, else by asking for the queue. Takes nothing off the queue and marks nothing. One process does this for an
 * agent; see `Arrivals`.
 */
export class Receiver {
  readonly #client: ProviderClient;
  readonly #intake: Intake;
  readonly #options: ReceiverOptions;
  readonly #pace: Pace;
  #way: Way | undefined;
  #hasSaid = false;
  #doorbell: Doorbell | undefined;
  #cursor: string | undefined;
  #counted: string | undefined;
  #problem: AmpError | undefined;

  constructor(client: ProviderClient, intake: Intake, options: ReceiverOptions) {
    this.#client = client;
    this.#intake = intake;
    this.#options = options;
    this.#pace = new Pace(options.now);
  }

  get way(): Way | undefined {
    return this.#way;
  }

  get from(): string {
    return this.#client.base;
  }

  /** Why the provider could not be asked the last time. */
  get problem(): AmpError | undefined {
    return this.#problem;
  }

  /** A tool was called, or somebody waits: ask more often for a while. */
  activity(): void {
    this.#pace.activity();
  }

  /**
   * Receives until aborted.
   *
   * @param onArrival Called when new mail is safely on disk.
   * @throws AmpError `unauthorized` when the provider refuses the API key; other failures are tried again.
   */
  async run(onArrival: () => void, signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) await this.#rest(await this.#next(onArrival, signal), signal);
    } finally {
      await this.#hangUp();
    }
  }

  /** Until the next look is due, or it rings. While the provider fails, and within a burst, ringing changes nothing. */
  async #rest(milliseconds: number, signal: AbortSignal): Promise<void> {
    const { pause } = this.#options;
    if (!this.#doorbell || this.#problem || milliseconds <= BURST_REFILL) return pause(milliseconds, signal);
    const hasRung = await this.#doorbell.during((until) => pause(milliseconds, until), signal);
    if (hasRung) await pause(this.#pace.goOn("held"), signal);
  }

  async #next(onArrival: () => void, signal: AbortSignal): Promise<number> {
    this.#doorbell?.answer();
    try {
      const { arrived, goesOn } = await this.#look(await this.#chooseWay(signal), signal);
      if (arrived > 0) onArrival();
      // That a cursor was given says nothing of the request that is held next.
      if (goesOn !== "more" || arrived > 0) this.#problem = undefined;
      const elsewhere = await this.#lookElsewhere(signal);
      if (elsewhere > 0) onArrival();
      const sign = arrived + elsewhere > 0 ? "news" : goesOn;
      return sign === undefined ? this.#pace.quiet() : this.#pace.goOn(sign);
    } catch (thrown) {
      if (signal.aborted) return 0;
      this.#problem = toAmpError(thrown);
      if (this.#problem.code === "unauthorized") throw this.#problem;
      // It may be another provider, or another version, that answers next time.
      if (!(thrown instanceof CursorExpired)) this.#hasSaid = false;
      this.#cursor = undefined;
      this.#counted = undefined;
      return this.#pace.failed(this.#problem.retryAfter);
    }
  }

  /** A failure there is told, and changes nothing about the queue. */
  async #lookElsewhere(signal: AbortSignal): Promise<number> {
    try {
      return (await this.#options.elsewhere?.(signal)) ?? 0;
    } catch (thrown) {
      if (!signal.aborted) this.#problem = toAmpError(thrown);
      return 0;
    }
  }

  /** Where it cannot say what it can do, the queue itself is asked for meanwhile; mail may come all the same. */
  async #chooseWay(signal: AbortSignal): Promise<Way> {
    if (this.#way !== undefined && this.#hasSaid) return this.#way;
    const said = await this.#client.info(signal).catch(() => undefined);
    this.#hasSaid = said !== undefined;
    this.#way = wayOf(said?.capabilities ?? []);
    if (this.#way === "websocket") this.#doorbell ??= this.#openDoorbell();
    else if (said !== undefined) await this.#hangUp();
    return this.#way;
  }

  /** Asks before each connection whether the promise still holds: an AI Maestro may have taken the provider's place. */
  #openDoorbell(): Doorbell {
    const listen = async (ring: () => void, until: AbortSignal) => {
      const { capabilities, websocket, ws } = await this.#client.info(until);
      if (wayOf(capabilities) === "websocket") await this.#client.listen(websocket ?? ws, ring, until);
    };
    return new Doorbell({ listen, now: this.#options.now, pause: this.#options.doorbellPause });
  }

  async #hangUp(): Promise<void> {
    await this.#doorbell?.close();
    this.#doorbell = undefined;
  }

  #look(way: Way, signal: AbortSignal): Promise<Round> {
    if (way === "poll") return this.#poll(signal);
    if (way === "count" || way === "websocket") return this.#count(signal);
    return this.#cursor === undefined ? this.#begin(signal) : this.#longPoll(this.#cursor, signal);
  }

  async #poll(signal: AbortSignal): Promise<Round> {
    const { messages } = await this.#client.pending({ signal });
    return { arrived: await this.#intake.receive(messages), goesOn: undefined };
  }

  /** The cursor is taken before the look, so that nothing falls between both. */
  async #count(signal: AbortSignal): Promise<Round> {
    const counted = await this.#client.count(signal).catch(() => undefined);
    // Listed, and not there: the queue still is, or says that the provider is away.
    if (counted === undefined) return this.#poll(signal);
    const { count, cursor } = counted;
    const state = `${count} ${cursor}`;
    if (state === this.#counted) return { arrived: 0, goesOn: undefined };
    const page = await this.#client.pending({ after: this.#cursor, signal });
    const arrived = await this.#intake.receive(page.messages);
    const hasMore = hasNext(page, this.#cursor);
    if (hasMore) this.#cursor = page.nextCursor;
    else {
      // What lies behind a page without a next one comes into view when something is taken off.
      if (page.remaining === 0) this.#cursor = cursor;
      this.#counted = state;
    }
    return { arrived, goesOn: hasMore ? "more" : undefined };
  }

  /** The whole queue once, as far as the provider shows it; from there on only what comes after. */
  async #begin(signal: AbortSignal): Promise<Round> {
    const { cursor } = await this.#client.count(signal).catch(() => ({ cursor: undefined }));
    const page = await this.#client.pending({ signal });
    const arrived = await this.#intake.receive(page.messages);
    this.#cursor = page.nextCursor ?? (page.remaining > 0 ? undefined : cursor);
    return { arrived, goesOn: this.#cursor === undefined ? undefined : "more" };
  }

  async #longPoll(cursor: string, signal: AbortSignal): Promise<Round> {
    const startedAt = this.#options.now();
    const page = await this.#client.pending({ after: cursor, wait: LONG_POLL, signal });
    const isHeld = this.#options.now() - startedAt > LONG_POLL_HELD;
    const arrived = await this.#intake.receive(page.messages);
    // Without a cursor to go on from, the same messages would come again at once.
    this.#cursor = page.nextCursor ?? (page.messages.length > 0 ? undefined : cursor);
    const isNext = hasNext(page, cursor);
    if (isHeld) return { arrived, goesOn: "held" };
    return { arrived, goesOn: isNext ? "more" : undefined };
  }
}

/** A page without messages promises nothing, whatever it says is behind it. */
function hasNext({ messages, remaining, nextCursor }: PendingPage, cursor: string | undefined): boolean {
  return messages.length > 0 && remaining > 0 && nextCursor !== undefined && nextCursor !== cursor;
}

function wayOf(capabilities: readonly string[]): Way {
  if (capabilities.includes("notify:longpoll")) return "long-poll";
  if (!capabilities.includes("notify:v1")) return "poll";
  // Only with the draft's promise (12.4) that what is pushed stays in the queue: connecting to AI Maestro loses mail.
  return capabilities.includes("websockets") ? "websocket" : "count";
}
