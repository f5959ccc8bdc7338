import { toAmpError } from "../errors.ts";
import { Announced, type Complete } from "../store/announced.ts";
import type { Home } from "../store/home.ts";
import type { Profile } from "../store/profile.ts";
import { type Look, type UnreadFile, UnreadFiles } from "../store/unread.ts";
import { CLOCK_SLACK, READS_AT_ONCE, READS_NOTED } from "../wire/limits.ts";
import { Inboxes } from "./inboxes.ts";

/** Unread messages that the caller, and nobody else, is to tell about; one of both methods is to follow. */
export interface News {
  messages: readonly UnreadFile[];
  urgent: number;
  /** False where the ledger could not be written: the same messages may be told about again. */
  isRecorded: boolean;
  /** They were told about; `false` where that could not be noted. */
  told(hook?: string): Promise<boolean>;
  /** They were not; others may. */
  withdraw(): Promise<void>;
}

export interface ClaimOptions {
  except?: readonly string[];
  max?: number;
}

/** Which of these messages another tool has taken off the provider's queue; empty where that cannot be said. */
export type GoneFromQueue = (messages: readonly UnreadFile[]) => Promise<ReadonlySet<string>>;

/**
 * Tells about each message once, however many processes serve the agent (law 4). It decides from the disk, where every
 * message is before it is told about (law 2), and changes no message.
 */
export class Announcer {
  readonly #files: UnreadFiles;
  /** Where what has not changed since is passed over. */
  readonly #lookedAt: number | undefined;
  readonly #inboxes: Inboxes;
  readonly #ledger: Announced;
  readonly #gone: GoneFromQueue;
  /** Told about by this process, and not noted yet because the ledger could not be written. */
  readonly #toldHere = new Set<string>();
  /** Another tool took these off the provider's queue; asked about once. */
  readonly #goneFromQueue = new Set<string>();
  #known: { stamp: string | undefined; untold: ReadonlySet<string>; of: ReadonlyMap<string, unknown> } | undefined;

  constructor(
    home: Home,
    profile: Profile,
    now: () => number,
    options: { lookedAt?: number; gone?: GoneFromQueue } = {},
  ) {
    const { lookedAt } = options;
    this.#files = new UnreadFiles(lookedAt === undefined ? undefined : lookedAt - CLOCK_SLACK);
    this.#lookedAt = lookedAt;
    this.#inboxes = new Inboxes(home, profile);
    this.#ledger = new Announced(home.disk, profile.directory, now);
    this.#gone = options.gone ?? (async () => new Set());
  }

  /** For a process that looks once: passes over what was told about long ago without reading it. */
  static async forOneLook(home: Home, profile: Profile, now: () => number): Promise<Announcer> {
    const inboxes = await new Inboxes(home, profile).directories();
    return new Announcer(home, profile, now, {
      lookedAt: await new Announced(home.disk, profile.directory, now).lookedAt(inboxes),
    });
  }

  /** What lies unread on disk. Of thousands of files that were never read some at a time, so that others get a turn. */
  async look(): Promise<Look> {
    const inboxes = await this.#inboxes.directories();
    if (this.#lookedAt !== undefined) return this.#files.look(inboxes);
    for (;;) {
      const look = this.#files.look(inboxes, READS_AT_ONCE);
      if (look.reads < READS_AT_ONCE) return look;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Claims what is unread and was told to nobody; `undefined` where there is nothing. Never throws.
   *
   * @param options.except Ids that the caller is telling about in another way; see `noteTold`.
   * @param options.max How many the caller can tell about at once.
   */
  async claim({ except = [], max }: ClaimOptions = {}): Promise<News | undefined> {
    const look = await this.look();
    await this.#noteLate();
    const all = await this.#untold(look);
    const untold = all.filter(({ id }) => !except.includes(id)).slice(0, max);
    const complete = look.isComplete && untold.length === all.length ? this.#complete(look) : undefined;
    if (untold.length === 0) {
      if (complete && look.reads > READS_NOTED) await this.#ledger.looked(complete).catch(() => {});
      return undefined;
    }
    for (const id of await this.#gone(untold)) this.#goneFromQueue.add(id);
    const isDue = (id: string) => {
      const message = look.unread.get(id);
      return message !== undefined && !this.#goneFromQueue.has(id) && UnreadFiles.isStillUnread(message);
    };
    try {
      const ids = untold.map(({ id }) => id);
      return this.#news(look, await this.#ledger.claim(ids, isDue, complete), true);
    } catch (thrown) {
      // Held by another process: it tells, or the next call does. Unwritable: better twice than never.
      if (toAmpError(thrown).code === "locked") return undefined;
      const due = untold.map(({ id }) => id).filter(isDue);
      return this.#news(look, due, false);
    }
  }

  /** Notes that these were told about in another way: a list that the assistant asked for showed them. Never throws. */
  async noteTold(ids: readonly string[]): Promise<void> {
    const untold = await this.#ledger.untold(ids).catch(() => ids);
    if (untold.length > 0) await this.#note(untold);
  }

  /** Hosts whose hook has told about mail, and when, in milliseconds since 1970. */
  hooks(): Promise<[host: string, at: number][]> {
    return this.#ledger.hooks();
  }

  /** Asked with each result of a tool: the ledger is read when it or the mail has changed. */
  async #untold({ unread }: Look): Promise<UnreadFile[]> {
    if (unread.size === 0) return [];
    const { stamp } = this.#ledger;
    const known = this.#known !== undefined && this.#known.stamp === stamp && sameKeys(this.#known.of, unread);
    const untold = (known && this.#known?.untold) || new Set(await this.#ledger.untold(unread.keys()));
    this.#known = { stamp, untold, of: unread };
    const isNews = (id: string) => untold.has(id) && !this.#toldHere.has(id) && !this.#goneFromQueue.has(id);
    return [...unread.values()].filter(({ id }) => isNews(id));
  }

  #complete(look: Look): Complete {
    const { at, inboxes } = look;
    // From time 0 on nothing was passed over.
    if (this.#lookedAt) return { waiting: undefined, since: this.#lookedAt, at, inboxes };
    return { waiting: new Set(look.unread.keys()), at, inboxes };
  }

  /** What could not be noted before, so that the other processes know it, too. */
  async #noteLate(): Promise<void> {
    if (this.#toldHere.size === 0) return;
    const late = [...this.#toldHere];
    const isNoted = this.#ledger.settle(late, true).then(() => true);
    if (await isNoted.catch(() => false)) this.#toldHere.clear();
  }

  #news({ unread }: Look, ids: readonly string[], isRecorded: boolean): News | undefined {
    const messages = ids.map((id) => unread.get(id)).filter((message) => message !== undefined);
    if (messages.length === 0) return undefined;
    return {
      messages,
      urgent: messages.filter(({ isUrgent }) => isUrgent).length,
      isRecorded,
      told: (hook) => this.#note(ids, hook),
      withdraw: () => this.#ledger.settle(ids, false).catch(() => {}),
    };
  }

  async #note(ids: readonly string[], hook?: string): Promise<boolean> {
    const isNoted = this.#ledger.settle(ids, true, hook).then(() => true);
    if (await isNoted.catch(() => false)) return true;
    for (const id of ids) this.#toldHere.add(id);
    return false;
  }
}

function sameKeys(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((id) => b.has(id));
}

/** The one line: counts only, since it stands outside every fence. `amp_inbox` is where to go on. */
export function newsLine({ messages, urgent }: News): string {
  return `${messages.length} new${urgent > 0 ? `, ${urgent} urgent` : ""}: amp_inbox`;
}
