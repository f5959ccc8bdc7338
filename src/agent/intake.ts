import type { Dashboard } from "../client/dashboard.ts";
import type { ProviderClient } from "../client/provider.ts";
import { AmpError, toAmpError } from "../errors.ts";
import { storageFailed } from "../store/disk.ts";
import type { MessageStore, StoredMessage } from "../store/messages.ts";
import type { UnreadFile } from "../store/unread.ts";
import { REQUEST_DEADLINE } from "../wire/limits.ts";
import type { Message } from "../wire/message.ts";
import type { Inboxes } from "./inboxes.ts";

/** From where an agent's mail comes over the network. */
export interface Sources {
  client: ProviderClient;
  /** Only where it is asked for. */
  dashboard: Dashboard | undefined;
}

/** The way of mail from a provider to the disk, on which nothing is taken off or marked anywhere. */
export class Intake {
  readonly #store: MessageStore;
  readonly #inboxes: Inboxes;
  readonly #sources: Sources;
  readonly #now: () => number;
  /** Ids that the dashboard lists and has no message for. */
  readonly #fruitless = new Set<string>();

  constructor(store: MessageStore, inboxes: Inboxes, sources: Sources, now: () => number) {
    this.#store = store;
    this.#inboxes = inboxes;
    this.#sources = sources;
    this.#now = now;
  }

  /**
   * Keeps what a provider's queue showed. One that cannot be kept holds up none of the others.
   *
   * @returns How many of these were not there yet.
   * @throws AmpError `storage_failed`, after all the others were kept.
   */
  async receive(messages: readonly Message[]): Promise<number> {
    const { client } = this.#sources;
    let fresh = 0;
    let failure: AmpError | undefined;
    for (const message of messages.filter(({ envelope }) => !this.#store.isKept(envelope.id))) {
      try {
        if (await this.#keep(message, client.base, true)) fresh += 1;
      } catch (thrown) {
        failure ??= toAmpError(thrown);
      }
    }
    if (failure) throw failure;
    return fresh;
  }

  /**
   * Keeps what AI Maestro's dashboard shows as unread, where that is asked for. Returns how much of it was not there
   * yet. One deadline for all of it: each message is a request.
   */
  async receiveFromDashboard(signal?: AbortSignal): Promise<number> {
    const { dashboard } = this.#sources;
    if (dashboard === undefined) return 0;
    try {
      return await this.#receiveFrom(dashboard, signal);
    } catch (thrown) {
      const { code, message, next, mender } = toAmpError(thrown);
      throw new AmpError(code, {
        message: `AI Maestro's dashboard: ${message}`,
        next: `${next} Without --dashboard it is not asked.`,
        mender,
        cause: thrown,
      });
    }
  }

  async #receiveFrom(dashboard: Dashboard, signal: AbortSignal | undefined): Promise<number> {
    const until = this.#now() + REQUEST_DEADLINE;
    const ids = await dashboard.unread(signal);
    await this.#store.files(await this.#inboxes.directories());
    let fresh = 0;
    for (const id of ids) {
      if (this.#store.isKept(id) || this.#fruitless.has(id)) continue;
      if (this.#now() > until || signal?.aborted) break;
      const message = await dashboard.message(id, signal);
      if (message === undefined) this.#fruitless.add(id);
      else if (await this.#keep(message, dashboard.origin, false)) fresh += 1;
    }
    return fresh;
  }

  /**
   * Which of these messages another tool has taken off the provider's queue since they were kept; none where the
   * provider does not show the whole of it in time.
   */
  async goneFromQueue(messages: readonly UnreadFile[], deadline: number): Promise<ReadonlySet<string>> {
    const held = messages.filter(({ queuedAt, expiresAt }) => this.#isHeldHere(queuedAt, expiresAt));
    if (held.length === 0) return new Set();
    const page = await this.#sources.client.pending({ deadline }).catch(() => undefined);
    if (page === undefined || page.remaining > 0 || page.unreadable > 0) return new Set();
    const queued = new Set(page.messages.map(({ envelope }) => envelope.id));
    return new Set(held.map(({ id }) => id).filter((id) => !queued.has(id)));
  }

  /**
   * A kept copy stops waiting when its entry has left the queue before its time: another tool acknowledged it. An
   * entry that expired, or that another provider held, still waits here; nobody has dealt with it.
   */
  wasHeldHere({ queuedAt, message }: StoredMessage): boolean {
    return this.#isHeldHere(queuedAt, Date.parse(message.expiresAt ?? ""));
  }

  #isHeldHere(queuedAt: string | undefined, expiresAt: number): boolean {
    return queuedAt === this.#sources.client.base && !(expiresAt <= this.#now());
  }

  /** An agent's directory that is gone was moved: made anew it would be a second, empty agent. */
  async #keep(message: Message, from: string, isQueued: boolean): Promise<boolean> {
    if (!(await this.#inboxes.isThere())) throw storageFailed("keep a message in", this.#inboxes.own, undefined);
    return this.#store.keep(this.#inboxes.own, message, { at: new Date(this.#now()), from, isQueued });
  }
}
