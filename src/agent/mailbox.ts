import { join } from "node:path";
import type { PendingPage, ProviderClient } from "../client/provider.ts";
import { type AmpError, toAmpError } from "../errors.ts";
import type { Home } from "../store/home.ts";
import { findMessage, type MessageStore, type StoredMessage } from "../store/messages.ts";
import { PRIORITIES, priorityOf } from "../wire/message.ts";
import type { RegisteredProfile } from "./identity.ts";

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
  #queued: Set<string> | undefined;

  constructor(home: Home, profile: RegisteredProfile, client: ProviderClient, store: MessageStore, now: () => number) {
    this.#home = home;
    this.#profile = profile;
    this.#client = client;
    this.#store = store;
    this.#now = now;
  }

  async waiting(signal?: AbortSignal): Promise<Waiting> {
    const queue = await this.#lookIntoQueue(signal);
    const known = await this.#store.list(await this.#inboxes());
    const ids = new Set(known.messages.map(({ message }) => message.envelope.id));
    const fresh = queue.messages.filter(({ envelope }) => !ids.has(envelope.id));
    for (const message of fresh) {
      await this.#store.keep(this.#inbox, message, { at: new Date(this.#now()), from: this.#client.base });
    }
    // Looked up once more: an agent of the guide's script has no inbox before its first message.
    const { messages, unreadable } = fresh.length > 0 ? await this.#store.list(await this.#inboxes()) : known;
    const waiting = await this.#stillWaiting(messages, queue);
    return {
      messages: waiting.sort(byUrgencyThenAge),
      behind: queue.remaining,
      offline: queue.offline,
      unreadable: unreadable.length + queue.unreadable,
    };
  }

  async #lookIntoQueue(signal: AbortSignal | undefined): Promise<PendingPage & { offline: AmpError | undefined }> {
    try {
      const page = await this.#client.pending({ signal });
      this.#queued = new Set(page.messages.map(({ envelope }) => envelope.id));
      return { ...page, offline: undefined };
    } catch (thrown) {
      this.#queued = new Set();
      return { messages: [], remaining: 0, unreadable: 0, offline: toAmpError(thrown) };
    }
  }

  /**
   * A kept copy stops waiting when its entry has left the queue before its time: another tool acknowledged it. An
   * entry that expired, or that another provider held, still waits here; nobody has dealt with it.
   */
  async #stillWaiting(
    messages: StoredMessage[],
    queue: PendingPage & { offline: AmpError | undefined },
  ): Promise<StoredMessage[]> {
    const isWholeQueue = queue.offline === undefined && queue.remaining === 0 && queue.unreadable === 0;
    const queued = new Set(queue.messages.map(({ envelope }) => envelope.id));
    const waiting: StoredMessage[] = [];
    for (const stored of messages) {
      if (queued.has(stored.message.envelope.id)) waiting.push(stored);
      else if (stored.status === "unread") {
        const isExpired = Date.parse(stored.message.expiresAt ?? "") <= this.#now();
        const wasHere = stored.queuedAt === this.#client.base;
        if (wasHere && isWholeQueue && !isExpired) await this.#store.mark(stored, "read", new Date(this.#now()));
        else waiting.push(stored);
      }
    }
    return waiting;
  }

  /** A message by its id, wherever it is: waiting, acknowledged long ago, or sent by this agent. */
  async find(id: string, signal?: AbortSignal): Promise<StoredMessage | undefined> {
    const onDisk = async () =>
      findMessage((await this.#store.list([...(await this.#inboxes()), this.#sent])).messages, id);
    const found = await onDisk();
    if (found !== undefined) return found;
    const { offline } = await this.waiting(signal);
    const late = await onDisk();
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
    const { id } = stored.message.envelope;
    if (this.#queued === undefined && stored.queuedAt === undefined) await this.#lookIntoQueue(signal);
    const isHere = stored.queuedAt === this.#client.base || this.#queued?.has(id) === true;
    const isQueued = isHere || stored.queuedAt !== undefined;
    const wasTakenOff = isQueued && (await this.#client.acknowledge(id, signal));
    const wasUnread = stored.status === "unread";
    if (wasUnread) await this.#store.mark(stored, "read", new Date(this.#now()));
    return wasTakenOff || (wasUnread && !isHere) ? "acknowledged" : "already gone";
  }

  async keepSent(id: string, envelope: object, payload: object): Promise<void> {
    await this.#store.keepSent(this.#sent, id, envelope, payload, new Date(this.#now()));
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

function byUrgencyThenAge(a: StoredMessage, b: StoredMessage): number {
  const rank = (stored: StoredMessage) => PRIORITIES.indexOf(priorityOf(stored.message.envelope));
  return rank(b) - rank(a) || a.receivedAt - b.receivedAt || compare(a.message.envelope.id, b.message.envelope.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
