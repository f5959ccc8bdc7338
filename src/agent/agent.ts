import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Http, type HttpOptions } from "../client/http.ts";
import { checkedUrl } from "../client/origin.ts";
import { discover, type Found } from "../client/provider.ts";
import { AmpError, toAmpError } from "../errors.ts";
import { readPublicKey } from "../store/agent-keys.ts";
import { Disk } from "../store/disk.ts";
import { Home } from "../store/home.ts";
import { MessageStore, type StoredMessage } from "../store/messages.ts";
import { type RegisteredProfile, readProfile } from "../store/profile.ts";
import { restoreConfig } from "../store/registration.ts";
import { isWithinTenant } from "../wire/address.ts";
import { type Flag, flagsOf } from "../wire/flags.ts";
import { fingerprint } from "../wire/keys.ts";
import { CLOSE_GRACE } from "../wire/limits.ts";
import { payloadInFull } from "../wire/message.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { ClaimOptions, News } from "./announce.ts";
import { Arrivals } from "./arrivals.ts";
import type { Draft } from "./compose.ts";
import { firstRegistered, type Identity, identityOf, requireRegistered, resolveIdentity } from "./identity.ts";
import type { KeyLedger } from "./key-ledger.ts";
import type { Acknowledged, Waiting } from "./mailbox.ts";
import type { Answer, Care, Sent } from "./outbox.ts";
import { type Registration, type RegistrationRequest, register } from "./register.ts";
import { isOutdated, openSession, type Session, stampOf } from "./session.ts";
import type { Setting, Settings } from "./settings.ts";
import { type Judgement, withRepeat } from "./trust.ts";

export interface AgentOptions {
  settings: Settings;
  /** Starts a provider where none answers; `true` says that one does now. */
  revive?: HttpOptions["revive"];
  /** Milliseconds since 1970. */
  now?: () => number;
  disk?: Disk;
  /** Where details for a person who looks for a fault go, a line each. Default: nowhere. */
  log?: (line: string) => void;
  /** Without a configured agent take the one registered first (the command line), or ask (the server). */
  pickFirst?: boolean;
}

export interface ReadMessage {
  stored: StoredMessage;
  judgement: Judgement;
  /** Patterns often seen in attacks. A remark, never a reason to hold a message back. */
  flags: readonly Flag[];
}

export interface Status {
  identity: Identity;
  provider: Setting;
  found: Found | undefined;
  /** Why the provider could not be reached. */
  offline: AmpError | undefined;
  waiting: Waiting | undefined;
  root: string;
  /** Names of the agents that are here, where the configured one is not. */
  others: readonly string[];
}

/**
 * One agent, in its own words. The identity is settled once, by configuration; a registration made later, here or by
 * another program, takes effect at the next call.
 */
export class Agent {
  readonly settings: Settings;
  readonly home: Home;
  readonly #http: Http;
  readonly #store: MessageStore;
  readonly #now: () => number;
  readonly #pickFirst: boolean;
  readonly #log: (line: string) => void;
  readonly #running = new Set<Promise<unknown>>();
  /** New mail, once started: by a server, not by a command. */
  readonly arrivals: Arrivals;
  #session: Session | undefined;
  /** The directory of the agent registered by this process, which it acts as from then on. */
  #registered: string | undefined;

  constructor(options: AgentOptions) {
    this.settings = options.settings;
    this.home = new Home(options.settings.root.value, options.disk ?? new Disk());
    this.#now = options.now ?? Date.now;
    this.#http = new Http({ revive: options.revive, now: this.#now });
    this.#store = new MessageStore(this.home.disk);
    this.#pickFirst = options.pickFirst ?? false;
    this.#log = options.log ?? (() => {});
    this.arrivals = new Arrivals({
      home: this.home,
      session: () => this.#open(),
      forget: (session) => {
        if (this.#session === session) this.#session = undefined;
      },
      elsewhere: ({ mailbox }, signal) => mailbox.intake.receiveFromDashboard(signal),
      now: this.#now,
      log: (thrown) => this.log(thrown),
    });
  }

  /** The agent's address, for the first line of every answer; `undefined` while there is none. Never throws. */
  async address(): Promise<string | undefined> {
    const identity = await this.identity().catch(() => undefined);
    return identity?.kind === "registered" ? identity.profile.address : undefined;
  }

  /** As whom this process acts, in words, for the first line of every answer. Never throws. */
  async headline(): Promise<string> {
    const address = await this.address();
    if (address !== undefined) return oneLine(address, 254);
    const identity = await this.identity().catch(toAmpError);
    if (identity instanceof AmpError) return "none chosen (several agents are here)";
    return identity.kind === "none"
      ? "none yet (not registered)"
      : `${oneLine(identity.profile.name, 63)} (registration incomplete)`;
  }

  async identity(): Promise<Identity> {
    if (this.#session) return { kind: "registered", profile: (await this.#open()).profile };
    return this.#resolve();
  }

  async #resolve(): Promise<Identity> {
    const registered = this.#registered && (await this.home.disk.realDirectory(this.#registered));
    if (registered !== undefined) return identityOf(await readProfile(this.home.disk, registered));
    const { agent, agentDirectory } = this.settings;
    if (this.#pickFirst && agent === undefined && agentDirectory === undefined) {
      const first = await firstRegistered(this.home);
      if (first) return identityOf(first);
    }
    return resolveIdentity(this.home, this.settings);
  }

  /** @throws AmpError only for what a person has to settle (several agents); neither offline nor unregistered is one. */
  async status(signal?: AbortSignal): Promise<Status> {
    const identity = await this.identity();
    const provider = this.#providerSetting(identity);
    const others = identity.kind === "none" ? (await this.home.profiles()).map(({ name }) => name) : [];
    const base = { identity, provider, root: this.home.root, others };
    try {
      const found = await discover(this.#http, checkedUrl(provider.value, this.settings.allowHttp), signal);
      const waiting = identity.kind === "registered" ? await this.peek(signal) : undefined;
      return { ...base, found, offline: waiting?.offline, waiting };
    } catch (thrown) {
      return {
        ...base,
        found: undefined,
        offline: toAmpError(thrown),
        waiting: await this.#localOnly(identity, signal),
      };
    }
  }

  async #localOnly(identity: Identity, signal: AbortSignal | undefined): Promise<Waiting | undefined> {
    if (identity.kind !== "registered") return undefined;
    return (await this.#open()).mailbox.peek(signal).catch(() => undefined);
  }

  /** Registers the agent and takes effect at once. @throws AmpError, see `register`. */
  async register(request: RegistrationRequest, signal?: AbortSignal): Promise<Registration> {
    const identity = await this.identity();
    const url = request.providerUrl ?? this.#providerSetting(identity).value;
    const context = { home: this.home, http: this.#http, settings: this.settings, identity };
    const registration = await this.#track(register(context, { ...request, providerUrl: url }, signal));
    this.#session = undefined;
    this.#registered = registration.profile.directory;
    void this.arrivals.activity();
    return registration;
  }

  /** @throws AmpError, see `Outbox.send`. */
  async send(draft: Draft, care?: Care, signal?: AbortSignal): Promise<Sent> {
    return this.#withSession(({ outbox }) => outbox.send(draft, care, signal));
  }

  /** The answer to a message, ready to be sent. @throws AmpError `unknown_message`. */
  async draftReply(messageId: string, answer: Answer, signal?: AbortSignal): Promise<Draft> {
    return this.#withSession(async ({ mailbox, outbox }) => {
      const stored = await mailbox.find(messageId, signal);
      if (stored === undefined) throw unknownMessage(messageId);
      return outbox.draftReply(stored, answer);
    });
  }

  /**
   * Whether a person is to be asked before this draft leaves.
   *
   * @throws AmpError as `send` for a draft that would not leave anyway: nobody is asked about that.
   */
  async needsConfirmation(draft: Draft, care: Care): Promise<boolean> {
    const { profile, outbox } = await this.#open();
    const { confirmSend } = this.settings;
    if (confirmSend === "never") return false;
    await outbox.check(draft, care);
    return confirmSend === "always" || !isWithinTenant(draft.to, profile.address);
  }

  /** What waits, for a list. @throws AmpError of the disk; what the network says stands in `offline`. */
  async waiting(signal?: AbortSignal): Promise<Waiting> {
    return this.#look(({ mailbox }) => mailbox.waiting(signal));
  }

  /** What waits, for a status or a wait: nothing is taken off, marked or acknowledged anywhere. */
  async peek(signal?: AbortSignal): Promise<Waiting> {
    return this.#look(({ mailbox }) => mailbox.peek(signal));
  }

  #look(work: (session: Session) => Promise<Waiting>): Promise<Waiting> {
    return this.#withSession(async (session) => {
      const waiting = await work(session);
      const isRefused = waiting.offline?.code === "unauthorized";
      if (isRefused && (await this.#renewedKey(session.profile)) !== undefined) throw waiting.offline;
      return waiting;
    });
  }

  /** What waits as far as this machine's disk says. */
  async waitingOnDisk(): Promise<Waiting> {
    return this.#withSession(({ mailbox }) => mailbox.waitingOnDisk());
  }

  /** Brings what the provider's queue shows to disk and says how much of it is new. Nothing else is changed. */
  async fetch(signal?: AbortSignal): Promise<number> {
    return this.#withSession(async ({ mailbox: { intake }, client }) => {
      const fromQueue = await intake.receive((await client.pending({ signal })).messages);
      return fromQueue + (await intake.receiveFromDashboard(signal));
    });
  }

  /** Unread mail that the assistant was not told about, to be told by the caller; see `settle`. Never throws. */
  async news(options?: ClaimOptions): Promise<News | undefined> {
    const session = await this.#open().catch(() => undefined);
    return session?.announcer.claim(options);
  }

  /** Notes what became of news: told if `isTold` says so, left to others if not. Ends before this agent is closed. */
  async settle(news: News, isTold: Promise<boolean>): Promise<void> {
    await this.#track(isTold.then(async (told) => void (await (told ? news.told() : news.withdraw()))));
  }

  /** Notes that the assistant was shown that these wait, if it was, so that it is not told again. Never throws. */
  async noteTold(ids: readonly string[], isTold: Promise<boolean> = Promise.resolve(true)): Promise<void> {
    const session = await this.#open().catch(() => undefined);
    await this.#track(isTold.then((told) => (told ? session?.announcer.noteTold(ids) : undefined)));
  }

  /** Hosts whose hook has told the assistant of mail, and when it last did. Never throws. */
  async hooks(): Promise<(readonly [host: string, at: number])[]> {
    const session = await this.#open().catch(() => undefined);
    return (await session?.announcer.hooks()) ?? [];
  }

  /** The API key that another program has put in place of the one in use. */
  async #renewedKey({ directory, apiKey }: RegisteredProfile): Promise<string | undefined> {
    const now = (await readProfile(this.home.disk, directory)).apiKey;
    return now === apiKey ? undefined : now;
  }

  /** For an index. `isOffline`: the provider did not answer just now, so that it is not asked for keys. */
  async judge(stored: StoredMessage, isOffline: boolean): Promise<Judgement> {
    const { trust, mailbox } = await this.#open();
    return withRepeat(await trust.judge(stored.message, isOffline), mailbox.repeatOf(stored));
  }

  /** Messages in full, in the order asked for; `undefined` for an id that is nowhere. Consumes nothing. */
  async read(ids: readonly string[], signal?: AbortSignal): Promise<(ReadMessage | undefined)[]> {
    return this.#withSession(async ({ mailbox, trust }) => {
      const found: (ReadMessage | undefined)[] = [];
      for (const id of ids) {
        const stored = await mailbox.find(id, signal);
        const judgement = stored && (await trust.judgeAndRemember(stored.message));
        if (stored === undefined || judgement === undefined) found.push(undefined);
        else {
          const flags = flagsOf({ subject: stored.message.envelope.subject, text: payloadInFull(judgement.payload) });
          found.push({ stored, judgement: withRepeat(judgement, mailbox.repeatOf(stored)), flags });
        }
      }
      return found;
    });
  }

  /** Acknowledges messages by id, or all that wait. Stops at the first failure of the provider and says what is left. */
  async acknowledge(wanted: readonly string[] | "all", signal?: AbortSignal): Promise<Acknowledged> {
    return this.#withSession(({ mailbox }) => mailbox.acknowledgeMany(wanted, signal));
  }

  /** Senders' keys, for people to decide about. */
  async keys(): Promise<KeyLedger> {
    return (await this.#open()).ledger;
  }

  /** Removes the files of acknowledged messages that came in longer ago than `age` milliseconds. Returns their paths. */
  async prune(age: number, isDryRun: boolean, signal?: AbortSignal): Promise<string[]> {
    return this.#withSession(({ mailbox }) => mailbox.prune(age, isDryRun, signal));
  }

  /** Fingerprint of the agent's own key, made from the key itself. */
  async fingerprint(): Promise<string | undefined> {
    const identity = await this.identity();
    const key = identity.kind === "none" ? undefined : await readPublicKey(this.home.disk, identity.profile.directory);
    return key === undefined ? undefined : fingerprint(key);
  }

  /** Details of a failure, with its causes, for whoever switched the log on. */
  log(thrown: unknown): void {
    this.#log(
      thrown instanceof Error
        ? `${thrown.stack}${thrown.cause ? `\ncaused by ${String(thrown.cause)}` : ""}`
        : String(thrown),
    );
  }

  /**
   * Ends what is under way. Requests are cut off; what a provider has already answered is still written down, for
   * which a moment is granted.
   */
  async close(): Promise<void> {
    const arrivals = this.arrivals.close();
    await this.#http.close();
    const moment = new AbortController();
    await Promise.race([Promise.allSettled([arrivals, ...this.#running]), pause(CLOSE_GRACE, undefined, moment)]);
    moment.abort();
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  /** The session in use, or a new one where the registration on disk has changed since, or was moved. */
  async #open(): Promise<Session> {
    const present = this.#session;
    if (present && !isOutdated(this.home, present)) return present;
    const { disk } = this.home;
    const directory = present && (await disk.realDirectory(present.profile.directory));
    const identity = directory ? identityOf(await readProfile(disk, directory)) : await this.#resolve();
    // Half-written, perhaps: as long as the directory is there, what was read last holds.
    if (present && directory && identity.kind !== "registered") return present;
    const profile = requireRegistered(identity);
    if (present && isDeepStrictEqual(present.profile, profile)) {
      present.stamp = stampOf(this.home, profile);
      return present;
    }
    if (profile.hasLostFields) await restoreConfig(this.home, profile).catch((thrown) => this.log(thrown));
    this.#session = openSession(
      { home: this.home, http: this.#http, store: this.#store, settings: this.settings, now: this.#now },
      profile,
    );
    return this.#session;
  }

  /** A key that the provider refuses may have been renewed by another program: then once more with the new one. */
  #withSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#track(this.#withFreshKey(work));
  }

  async #withFreshKey<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#open();
    try {
      return await work(session);
    } catch (thrown) {
      if (!(thrown instanceof AmpError) || thrown.code !== "unauthorized") throw thrown;
      this.#session = undefined;
      const fresh = await this.#open();
      if (fresh.profile.apiKey === session.profile.apiKey) throw thrown;
      return work(fresh);
    }
  }

  #providerSetting(identity: Identity | undefined): Setting {
    if (this.settings.provider) return this.settings.provider;
    const endpoint = identity && identity.kind !== "none" ? identity.profile.endpoint : undefined;
    if (endpoint !== undefined) return { value: endpoint, from: "the agent's registration" };
    return this.settings.defaultProvider;
  }
}

export function unknownMessage(id: string): AmpError {
  return new AmpError("unknown_message", {
    message: `No message "${oneLine(id, 80)}" is known: it neither waits nor is kept on this machine.`,
    notDone: "nothing was done with it.",
    next: "List the waiting messages (amp_inbox, or amp-mcp inbox) and copy the whole id.",
    mender: "caller",
  });
}
