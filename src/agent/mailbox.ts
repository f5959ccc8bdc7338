import { join } from "node:path";
import type { ProviderClient } from "../client/provider.ts";
import { type AmpError, toAmpError } from "../errors.ts";
import type { Home } from "../store/home.ts";
import { findMessage, type MessageStore, type StoredMessage } from "../store/messages.ts";
import type { RegisteredProfile } from "../store/profile.ts";
import { type Message, PRIORITIES, priorityOf } from "../wire/message.ts";
import { shownId } from "../wire/untrusted.ts";

/** What waits for the agent at this moment, and how sure that is. */
export interface Waiting {
  /** Most urgent first, then oldest. */
  messages: StoredMessage[];
  /** Messages in the provider's queue behind the page that it handed out. */
  behind: number;
  /** Why the provider's queue could not be looked at; what is shown then comes from this machine alone. */
  offline: AmpError | undefined;
  /** Files and queue items that could not be read (yet). They are left where they are. */
  unreadable: number;
}

export interface Acknowledged {
  acknowledged: string[];
  alreadyGone: string[];
  /** Never received here. */
  unknown: string[];
  /** Not tried or failed, with the reason. */
  failed: string[];
  error: AmpError | undefined;
}

/**
 * The mail of one agent: the union of the provider's queue and the inbox directories on disk, one entry an id. What
 * the queue shows is kept on disk first and shown from there, so that nothing which was once seen can vanish.
 */
export class Mailbox {
  readonly #home: Home;
  readonly #profile: RegisteredProfile;
  readonly #client: ProviderClient;
  readonly #store: MessageStore;
  readonly #now: () => number;
  /** Ids that the provider's queue showed when it was last looked at; `undefined` before the first look. */
  #queued: ReadonlySet<string> | undefined;
  readonly #repeats = new Map<string, string>();

  constructor(home: Home, profile: RegisteredProfile, client: ProviderClient, store: MessageStore, now: () => number) {
    this.#home = home;
    this.#profile = profile;
    this.#client = client;
    this.#store = store;
    this.#now = now;
  }

  /**
   * Looks into the queue and at the disk. What was on disk *before* the queue was looked at is remembered, because
   * another process may put a newer message there meanwhile, which this look cannot have seen in the queue.
   */
  async waiting(signal?: AbortSignal): Promise<Waiting> {
    const before = await this.#list(await this.#inboxes());
    const known = new Set(before.messages.map(idOf));
    const queue = await this.#fetchQueue(known, signal);
    this.#queued = queue.ids;
    // Looked up once more: an agent of the guide's script has no inbox before its first message.
    const { messages, unreadable } = await this.#list(await this.#inboxes());
    const waiting: StoredMessage[] = [];
    for (const stored of messages) {
      const isQueued = queue.ids.has(idOf(stored));
      if (queue.isWhole && !isQueued && known.has(idOf(stored)) && this.#wasHeldHere(stored)) {
        await this.#store.mark(stored, "read", new Date(this.#now()));
      } else if (stored.status === "unread" || isQueued) waiting.push(stored);
    }
    return {
      messages: waiting.sort(byUrgencyThenAge),
      behind: queue.behind,
      offline: queue.offline,
      unreadable: unreadable.length + queue.unreadable,
    };
  }

  /**
   * A kept copy stops waiting when its entry has left the queue before its time: another tool acknowledged it. An
   * entry that expired, or that another provider held, still waits here; nobody has dealt with it.
   */
  #wasHeldHere(stored: StoredMessage): boolean {
    const isExpired = Date.parse(stored.message.expiresAt ?? "") <= this.#now();
    return stored.status === "unread" && stored.queuedAt === this.#client.base && !isExpired;
  }

  /**
   * Keeps on disk what the queue shows. A queue longer than a page has no other page: only what is taken off makes
   * room. So a full page, once it is safely on disk, is taken off and waits here alone; newer mail comes into view.
   */
  async #fetchQueue(known: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<Look> {
    const look: Look = { ids: new Set(), behind: 0, unreadable: 0, isWhole: false, offline: undefined };
    const released = new Set<string>();
    try {
      for (;;) {
        const page = await this.#client.pending({ signal });
        const ids = page.messages.map(({ envelope }) => envelope.id);
        for (const message of page.messages) if (!known.has(message.envelope.id)) await this.#keep(message);
        look.ids = new Set(ids);
        look.behind = page.remaining;
        look.unreadable = page.unreadable;
        look.isWhole = page.remaining === 0 && page.unreadable === 0;
        // A provider that does not let go of what was taken off would be asked for ever.
        if (page.remaining === 0 || ids.every((id) => released.has(id))) return look;
        for (const id of ids) released.add(id);
        await this.#release(ids, signal);
        look.ids.clear();
      }
    } catch (thrown) {
      const offline = toAmpError(thrown);
      if (offline.code === "storage_failed") throw offline;
      return { ...look, isWhole: false, offline };
    }
  }

  async #keep(message: Message): Promise<void> {
    await this.#store.keep(this.#inbox, message, { at: new Date(this.#now()), from: this.#client.base });
  }

  /** Marks the copies as waiting on disk alone, then takes the page off the queue. */
  async #release(ids: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const { messages } = await this.#list(await this.#inboxes());
    const page = messages.filter((stored) => ids.includes(idOf(stored)));
    for (const stored of page) await this.#store.release(stored);
    await this.#client.acknowledgeAll(page.map(idOf), signal);
  }

  /**
   * A message by its id, wherever it is: waiting, acknowledged long ago, or sent by this agent. The sent copy comes
   * last: of a message to ourselves the one that was received is meant.
   */
  async find(id: string, signal?: AbortSignal): Promise<StoredMessage | undefined> {
    const sent = async () => findMessage((await this.#store.list([this.#sent])).messages, id);
    return this.#findReceived(id, signal, sent);
  }

  async #findReceived(
    id: string,
    signal: AbortSignal | undefined,
    otherwise: () => Promise<StoredMessage | undefined> = async () => undefined,
  ): Promise<StoredMessage | undefined> {
    const found = findMessage(await this.received(), id);
    if (found !== undefined) return found;
    const { offline } = await this.waiting(signal);
    const late = findMessage(await this.received(), id) ?? (await otherwise());
    if (late === undefined && offline !== undefined) throw offline;
    return late;
  }

  /**
   * Takes a message off the provider's queue and marks its file read; the file stays. Doing it twice is fine. What once
   * came from a queue is asked for whatever URL it came from: two of them may be one provider.
   *
   * @throws AmpError of the provider; then nothing was changed.
   */
  async acknowledge(stored: StoredMessage, signal?: AbortSignal): Promise<"acknowledged" | "already gone"> {
    if (this.#queued === undefined && stored.queuedAt === undefined) await this.waiting(signal);
    const isHere = stored.queuedAt === this.#client.base || this.#queued?.has(idOf(stored)) === true;
    const isQueued = isHere || stored.queuedAt !== undefined;
    const wasTakenOff = isQueued && (await this.#client.acknowledge(idOf(stored), signal));
    const wasUnread = stored.status === "unread";
    if (wasUnread) await this.#store.mark(stored, "read", new Date(this.#now()));
    return wasTakenOff || (wasUnread && !isHere) ? "acknowledged" : "already gone";
  }

  /** Everything that was ever received and is still on disk. */
  async received(): Promise<StoredMessage[]> {
    return (await this.#list(await this.#inboxes())).messages;
  }

  /** Both sides of every exchange that is still on disk. */
  async exchanged(): Promise<{ received: StoredMessage[]; sent: StoredMessage[] }> {
    return { received: await this.received(), sent: (await this.#store.list([this.#sent])).messages };
  }

  /** Files of acknowledged messages received longer ago than `age` milliseconds; what waits or was sent stays. */
  async prune(age: number, isDryRun: boolean): Promise<string[]> {
    const old = (await this.received()).filter(
      ({ status, receivedAt }) => status !== "unread" && this.#now() - receivedAt > age,
    );
    if (!isDryRun) for (const { path } of old) await this.#home.disk.remove(path);
    return old.map(({ path }) => path);
  }

  /** As `acknowledge`, for several or for all that wait. Stops at the first failure of the provider. */
  async acknowledgeMany(wanted: readonly string[] | "all", signal?: AbortSignal): Promise<Acknowledged> {
    const result: Acknowledged = { acknowledged: [], alreadyGone: [], unknown: [], failed: [], error: undefined };
    const ids = wanted === "all" ? await this.#waitingIds(signal) : [...new Set(wanted)];
    for (const [i, id] of ids.entries()) {
      try {
        const stored = await this.#findReceived(id, signal);
        if (stored === undefined) result.unknown.push(id);
        else {
          const outcome = await this.acknowledge(stored, signal);
          (outcome === "acknowledged" ? result.acknowledged : result.alreadyGone).push(idOf(stored));
        }
      } catch (thrown) {
        return { ...result, failed: ids.slice(i), error: toAmpError(thrown) };
      }
    }
    return result;
  }

  async #waitingIds(signal: AbortSignal | undefined): Promise<string[]> {
    const { messages, offline } = await this.waiting(signal);
    if (offline) throw offline;
    return messages.map(idOf);
  }

  async keepSent(id: string, envelope: object, payload: object): Promise<void> {
    await this.#store.keepSent(this.#sent, id, envelope, payload, new Date(this.#now()));
  }

  /**
   * The id of an earlier message with the same signature. A signature covers neither id nor time, so whoever saw a
   * message can send it again under a new id; but a sender who writes the same words twice signs the same, too.
   */
  repeatOf(stored: StoredMessage): string | undefined {
    return this.#repeats.get(idOf(stored));
  }

  async #list(directories: readonly string[]): Promise<{ messages: StoredMessage[]; unreadable: string[] }> {
    const listed = await this.#store.list(directories);
    const first = new Map<string, string>();
    this.#repeats.clear();
    for (const stored of [...listed.messages].sort((a, b) => a.receivedAt - b.receivedAt)) {
      const { signature } = stored.message.envelope;
      if (!signature) continue;
      const earlier = first.get(signature);
      if (earlier === undefined) first.set(signature, idOf(stored));
      else this.#repeats.set(idOf(stored), earlier);
    }
    return listed;
  }

  get #inbox(): string {
    return join(this.#profile.directory, "messages", "inbox");
  }

  get #sent(): string {
    return join(this.#profile.directory, "messages", "sent");
  }

  /** Tools file under the name, the indexed id or the agent id; often these are one directory. */
  async #inboxes(): Promise<string[]> {
    const { name, agentId } = this.#profile;
    const indexed = (await this.#home.index()).get(name);
    const names = [indexed, agentId, name].filter((id) => id !== undefined);
    const others = await Promise.all(
      names.map((id) => this.#home.inside(join(this.#home.agents, id, "messages", "inbox"))),
    );
    const own = await this.#home.disk.realDirectory(this.#inbox);
    return [...new Set([own, ...others].filter((path) => path !== undefined))];
  }
}

/** One look into the provider's queue. */
interface Look {
  ids: Set<string>;
  behind: number;
  unreadable: number;
  /** Whether everything that the queue holds was seen. */
  isWhole: boolean;
  offline: AmpError | undefined;
}

function idOf(stored: StoredMessage): string {
  return stored.message.envelope.id;
}

function byUrgencyThenAge(a: StoredMessage, b: StoredMessage): number {
  const rank = (stored: StoredMessage) => PRIORITIES.indexOf(priorityOf(stored.message.envelope));
  return rank(b) - rank(a) || a.receivedAt - b.receivedAt || compare(shownId(idOf(a)), shownId(idOf(b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
