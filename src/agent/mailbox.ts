import { join } from "node:path";
import type { Dashboard } from "../client/dashboard.ts";
import type { ProviderClient } from "../client/provider.ts";
import { type AmpError, toAmpError } from "../errors.ts";
import type { Home } from "../store/home.ts";
import { withLock } from "../store/lock.ts";
import { findMessage, MessageStore, type StoredMessage } from "../store/messages.ts";
import type { RegisteredProfile } from "../store/profile.ts";
import { QUEUE_PAGES } from "../wire/limits.ts";
import { PRIORITIES, priorityOf } from "../wire/message.ts";
import { shownId } from "../wire/untrusted.ts";
import { Inboxes } from "./inboxes.ts";
import { Intake, type Sources } from "./intake.ts";

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
  readonly #inboxes: Inboxes;
  readonly intake: Intake;
  readonly #profile: RegisteredProfile;
  readonly #client: ProviderClient;
  readonly #dashboard: Dashboard | undefined;
  readonly #store: MessageStore;
  /** Apart from what was received: a message to ourselves has one id in both. */
  readonly #sentCopies: MessageStore;
  readonly #now: () => number;
  /** Ids that the provider's queue showed when it was last looked at; `undefined` before the first look. */
  #queued: ReadonlySet<string> | undefined;
  /** Signature to the earliest message that has it, as the disk was at the last look. */
  readonly #firstSigned = new Map<string, StoredMessage>();

  constructor(home: Home, profile: RegisteredProfile, sources: Sources, store: MessageStore, now: () => number) {
    this.#home = home;
    this.#inboxes = new Inboxes(home, profile);
    this.intake = new Intake(store, this.#inboxes, sources, now);
    this.#profile = profile;
    this.#client = sources.client;
    this.#dashboard = sources.dashboard;
    this.#store = store;
    this.#sentCopies = new MessageStore(home.disk);
    this.#now = now;
  }

  /**
   * What waits, for whoever lists it. Mail that another tool took off the queue is marked read, and of a queue too long
   * for a page each full one is taken off once it is on disk.
   */
  async waiting(signal?: AbortSignal): Promise<Waiting> {
    const { waiting, goneElsewhere, leftInQueue } = await this.#survey(signal, true);
    await this.#markRead(goneElsewhere);
    // A process ended between noting that it takes them off and doing so; they were acknowledged here since.
    if (leftInQueue.length > 0) await this.#client.acknowledgeAll(leftInQueue, signal).catch(toAmpError);
    return waiting;
  }

  /** The same without changing anything but the copies on disk: of a queue too long for a page the first one counts. */
  async peek(signal?: AbortSignal): Promise<Waiting> {
    return (await this.#survey(signal, false)).waiting;
  }

  /**
   * Looks into the queue and at the disk. What was on disk *before* the queue was looked at is remembered, because
   * another process may put a newer message there meanwhile, which this look cannot have seen in the queue.
   */
  async #survey(signal: AbortSignal | undefined, mayRelease: boolean) {
    const before = await this.#store.files(await this.#inboxes.directories());
    const queue = await this.#fetchQueue(signal, mayRelease);
    this.#queued = queue.ids;
    const dashboard = await this.intake.receiveFromDashboard(signal).catch(toAmpError);
    // Looked up once more: an agent of the guide's script has no inbox before its first message.
    const { messages, unreadable } = await this.#list(await this.#inboxes.directories());
    const found: StoredMessage[] = [];
    const goneElsewhere: StoredMessage[] = [];
    const leftInQueue: string[] = [];
    let known: Set<string> | undefined;
    const wasBefore = ({ path }: StoredMessage) => {
      known ??= new Set(before);
      return known.has(path);
    };
    for (const stored of messages) {
      const isQueued = queue.ids.has(idOf(stored));
      const isDone = stored.status !== "unread";
      if (isDone && isQueued && stored.isReleased) leftInQueue.push(idOf(stored));
      else if (queue.isWhole && !isQueued && !isDone && this.intake.wasHeldHere(stored) && wasBefore(stored)) {
        goneElsewhere.push(stored);
      } else if (!isDone || isQueued) found.push(stored);
    }
    const waiting: Waiting = {
      messages: inOrder(found),
      behind: queue.behind,
      offline: queue.offline ?? (typeof dashboard === "number" ? undefined : dashboard),
      unreadable: unreadable.length + queue.unreadable,
    };
    return { waiting, goneElsewhere, leftInQueue };
  }

  /** What waits as far as this machine's disk says; the provider is not asked. */
  async waitingOnDisk(): Promise<Waiting> {
    const { messages, unreadable } = await this.#list(await this.#inboxes.directories());
    const unread = messages.filter(({ status }) => status === "unread");
    return { messages: inOrder(unread), behind: 0, offline: undefined, unreadable: unreadable.length };
  }

  async #markRead(messages: readonly StoredMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const at = new Date(this.#now());
    await this.#whileMarking(async () => {
      for (const stored of messages) await this.#store.mark(stored, "read", at);
    });
  }

  /** Marks are read, changed and written back: of our own processes by one at a time. */
  #whileMarking<T>(work: () => Promise<T>): Promise<T> {
    return withLock(this.#home.disk, join(this.#profile.directory, ".mail.lock"), work);
  }

  /**
   * Keeps on disk what the queue shows, page by page where the provider has cursors. Without them a queue longer than a
   * page has no other page: only what is taken off makes room. So a full page, once it is safely on disk, is taken off
   * and waits here alone; newer mail comes into view.
   */
  async #fetchQueue(signal: AbortSignal | undefined, mayRelease: boolean): Promise<Look> {
    const look: Look = { ids: new Set(), behind: 0, unreadable: 0, isWhole: false, offline: undefined };
    const released = new Set<string>();
    let after: string | undefined;
    let passed = 0;
    try {
      for (let pages = 1; ; pages++) {
        const page = await this.#client.pending({ after, signal });
        const ids = page.messages.map(({ envelope }) => envelope.id);
        await this.intake.receive(page.messages);
        for (const id of ids) look.ids.add(id);
        look.behind = page.remaining;
        look.unreadable = passed + page.unreadable;
        look.isWhole = page.remaining === 0 && look.unreadable === 0;
        if (page.remaining === 0 || pages === QUEUE_PAGES) return look;
        if (page.nextCursor !== undefined && page.nextCursor !== after) {
          after = page.nextCursor;
          passed = look.unreadable;
        } else {
          // A provider that does not let go of what was taken off would be asked for ever.
          if (!mayRelease || ids.every((id) => released.has(id))) return look;
          for (const id of ids) released.add(id);
          await this.#release(ids, signal);
          look.ids.clear();
        }
      }
    } catch (thrown) {
      // Of the network or of the disk: what is there already is shown all the same.
      return { ...look, isWhole: false, offline: toAmpError(thrown) };
    }
  }

  /** Marks the copies as waiting on disk alone, then takes the page off the queue. */
  async #release(ids: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const { messages } = await this.#list(await this.#inboxes.directories());
    const page = messages.filter((stored) => ids.includes(idOf(stored)));
    await this.#whileMarking(async () => {
      for (const stored of page) if (!stored.isReleased) await this.#store.release(stored);
    });
    await this.#client.acknowledgeAll(page.map(idOf), signal);
  }

  /**
   * A message by its id, wherever it is: waiting, acknowledged long ago, or sent by this agent. The sent copy comes
   * last: of a message to ourselves the one that was received is meant.
   */
  async find(id: string, signal?: AbortSignal): Promise<StoredMessage | undefined> {
    const sent = async () => findMessage((await this.#sentCopies.list([this.#sent])).messages, id);
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
   * Takes a message off the provider's queue; the caller marks its file. What once came from a queue is asked for
   * whatever URL it came from: two of them may be one provider.
   *
   * @throws AmpError of the provider; then nothing was changed.
   */
  async #takeOff(stored: StoredMessage, signal: AbortSignal | undefined): Promise<"acknowledged" | "already gone"> {
    if (this.#queued === undefined && stored.queuedAt === undefined) await this.waiting(signal);
    const isHere = stored.queuedAt === this.#client.base || this.#queued?.has(idOf(stored)) === true;
    const isQueued = isHere || stored.queuedAt !== undefined;
    if (this.#dashboard && stored.isFromDashboard) await this.#dashboard.markRead(idOf(stored), signal);
    const wasTakenOff = isQueued && (await this.#client.acknowledge(idOf(stored), signal));
    return wasTakenOff || (stored.status === "unread" && !isHere) ? "acknowledged" : "already gone";
  }

  /** Everything that was ever received and is still on disk. */
  async received(): Promise<StoredMessage[]> {
    return (await this.#list(await this.#inboxes.directories())).messages;
  }

  /** Both sides of every exchange that is still on disk. */
  async exchanged(): Promise<{ received: StoredMessage[]; sent: StoredMessage[] }> {
    return { received: await this.received(), sent: (await this.#sentCopies.list([this.#sent])).messages };
  }

  /** Removes the files of acknowledged messages received longer ago than `age` ms; what waits or was sent stays. */
  async prune(age: number, isDryRun: boolean, signal?: AbortSignal): Promise<string[]> {
    const { messages, offline } = await this.waiting(signal);
    const waiting = new Set(messages.map(idOf));
    if (offline !== undefined)
      for (const stored of await this.received()) if (this.#mayWait(stored)) waiting.add(idOf(stored));
    const old = await this.#store.acknowledgedBefore(await this.#inboxes.directories(), this.#now() - age);
    const paths = old.filter(({ id }) => !waiting.has(id)).map(({ path }) => path);
    if (!isDryRun) for (const path of paths) await this.#home.disk.remove(path);
    return paths;
  }

  /** Whether a provider that does not answer may still hold it: a script's mark does not take it off the queue. */
  #mayWait({ queuedAt, message }: StoredMessage): boolean {
    return queuedAt !== undefined && !(Date.parse(message.expiresAt ?? "") <= this.#now());
  }

  /**
   * Takes messages off the provider's queue and marks their files read; the files stay. Doing it twice is fine. For
   * several or for all that wait; stops at the first failure of the provider. A crash in between leaves a message
   * waiting, or marked by the next look.
   */
  async acknowledgeMany(wanted: readonly string[] | "all", signal?: AbortSignal): Promise<Acknowledged> {
    const result: Acknowledged = { acknowledged: [], alreadyGone: [], unknown: [], failed: [], error: undefined };
    const ids = wanted === "all" ? await this.#waitingIds(signal) : [...new Set(wanted)];
    let received = await this.received();
    const unmarked: StoredMessage[] = [];
    for (const [i, id] of ids.entries()) {
      try {
        const known = findMessage(received, id);
        const stored = known ?? (await this.#findReceived(id, signal));
        if (known === undefined) received = await this.received();
        if (stored === undefined) result.unknown.push(id);
        else if (![...result.acknowledged, ...result.alreadyGone].includes(idOf(stored))) {
          const outcome = await this.#takeOff(stored, signal);
          if (stored.status === "unread") unmarked.push(stored);
          (outcome === "acknowledged" ? result.acknowledged : result.alreadyGone).push(idOf(stored));
        }
      } catch (thrown) {
        result.failed = ids.slice(i);
        result.error = toAmpError(thrown);
        break;
      }
    }
    await this.#markRead(unmarked);
    return result;
  }

  async #waitingIds(signal: AbortSignal | undefined): Promise<string[]> {
    const { messages, offline } = await this.waiting(signal);
    if (offline) throw offline;
    return messages.map(idOf);
  }

  async keepSent(id: string, envelope: object, payload: object): Promise<void> {
    await this.#sentCopies.keepSent(this.#sent, id, envelope, payload, new Date(this.#now()));
  }

  /**
   * The id of an earlier message with the same signature. A signature covers neither id nor time, so whoever saw a
   * message can send it again under a new id; but a sender who writes the same words twice signs the same, too.
   */
  repeatOf(stored: StoredMessage): string | undefined {
    const { signature } = stored.message.envelope;
    const first = signature ? this.#firstSigned.get(signature) : undefined;
    return first === undefined || idOf(first) === idOf(stored) ? undefined : idOf(first);
  }

  async #list(directories: readonly string[]): Promise<{ messages: StoredMessage[]; unreadable: string[] }> {
    const listed = await this.#store.list(directories);
    this.#firstSigned.clear();
    for (const stored of listed.messages) {
      const { signature } = stored.message.envelope;
      const first = signature ? this.#firstSigned.get(signature) : undefined;
      if (signature && (first === undefined || stored.receivedAt < first.receivedAt)) {
        this.#firstSigned.set(signature, stored);
      }
    }
    return listed;
  }

  get #sent(): string {
    return join(this.#profile.directory, "messages", "sent");
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

/** Most urgent first, then oldest. */
function inOrder(messages: readonly StoredMessage[]): StoredMessage[] {
  return messages
    .map((stored) => ({
      stored,
      rank: PRIORITIES.indexOf(priorityOf(stored.message.envelope)),
      id: shownId(idOf(stored)),
    }))
    .sort((a, b) => b.rank - a.rank || a.stored.receivedAt - b.stored.receivedAt || compare(a.id, b.id))
    .map(({ stored }) => stored);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
