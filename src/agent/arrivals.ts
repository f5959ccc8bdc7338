import { createHash } from "node:crypto";
import { join } from "node:path";
import { type AmpError, toAmpError } from "../errors.ts";
import { SECRET_MODE } from "../store/disk.ts";
import type { Home } from "../store/home.ts";
import { type Lock, tryLock } from "../store/lock.ts";
import { Watch } from "../store/watch.ts";
import { IDLE_MIN, LEASE_RENEWAL, LEASE_STALE, LOOK_GAP, TICK, UNREGISTERED_PAUSE } from "../wire/limits.ts";
import { Pace } from "./pace.ts";
import { Pause } from "./pause.ts";
import { Receiver, type Way } from "./receive.ts";
import type { Session } from "./session.ts";

/** How mail comes in at this moment, for a status. */
export interface Receiving {
  /** `here`: this process asks the provider; `elsewhere`: another one of this machine does, and leaves mail on disk. */
  by: "here" | "elsewhere";
  way: Way | undefined;
  problem: AmpError | undefined;
  /** Base of the provider. */
  from: string | undefined;
}

export interface ArrivalsOptions {
  home: Home;
  /** Throws while nobody is registered. */
  session: () => Promise<Session>;
  /** Called when the provider refuses the API key; the next `session` is with the key that is on disk then. */
  forget: (session: Session) => void;
  elsewhere: (session: Session, signal: AbortSignal) => Promise<number>;
  now: () => number;
  log: (thrown: unknown) => void;
}

/**
 * New mail for one agent, from every source, while a server runs. The disk is where they meet: its directories are
 * watched, and looked at now and then, since watches lose events. One process of the machine, the holder of a lock
 * file, also receives from the provider; another takes over when it has ended.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #tick = new Pause();
  readonly #receiverPause = new Pause();
  #running: Promise<void> | undefined;
  #receiver: Receiver | undefined;
  #unread: ReadonlySet<string> = new Set();
  #bell: string | undefined;
  #isFollowing = false;
  /** Why this process cannot become the one that receives. */
  #unlockable: AmpError | undefined;
  readonly #pace: Pace;
  #followedAt = 0;
  /** Why it has not begun, or not again. */
  failure: AmpError | undefined;
  /** The lock that was held last. */
  #former: Lock | undefined;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#pace = new Pace(options.now);
  }

  /** Begins to receive; a second call does nothing. */
  start(): void {
    this.#running ??= this.#run(this.#closing.signal);
  }

  /** Called whenever the set of unread messages has changed. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** An answer may be near: whichever process receives asks more often for a while. Never throws. */
  async activity(): Promise<void> {
    if (this.#running === undefined) return;
    this.#tick.shorten(0);
    if (this.#receiver) return this.#hurry();
    const session = await this.#options.session().catch(() => undefined);
    if (session === undefined) return;
    const bell = bellOf(session.profile.directory);
    const { disk } = this.#options.home;
    const isThere = disk.touch(bell).then((touched) => touched || disk.create(bell, "", SECRET_MODE, false));
    await isThere.catch(this.#options.log);
  }

  /** `undefined` before it has begun: at the start, and while nobody is registered. */
  get receiving(): Receiving | undefined {
    if (!this.#isFollowing) return undefined;
    const { way, problem, from } = this.#receiver ?? {};
    return { by: this.#receiver ? "here" : "elsewhere", way, problem: problem ?? this.#unlockable, from };
  }

  /** Ends receiving and gives the lock back. Closing twice is fine. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const session = await this.#options.session().catch(() => undefined);
      if (session === undefined) await this.#tick.for(UNREGISTERED_PAUSE, signal);
      else await this.#follow(session, signal).catch((thrown: unknown) => this.#failed(session, thrown, signal));
    }
  }

  /** The key may have been renewed: begin anew, later each time; a tool that is called makes it sooner. */
  async #failed(session: Session, thrown: unknown, signal: AbortSignal): Promise<void> {
    this.#options.log(thrown);
    this.failure = toAmpError(thrown);
    this.#options.forget(session);
    // One that held for long was no part of a row of failures.
    if (performance.now() - this.#followedAt > LEASE_STALE) this.#pace.quiet();
    await this.#tick.for(UNREGISTERED_PAUSE + this.#pace.failed(), signal);
  }

  /** Until aborted, until another registration takes its place, or until the provider refuses the API key. */
  async #follow(session: Session, signal: AbortSignal): Promise<void> {
    const { directory } = session.profile;
    const watch = new Watch(() => this.#tick.shorten(LOOK_GAP));
    const receiving = new AbortController();
    const stop = () => receiving.abort();
    signal.addEventListener("abort", stop, { once: true });
    const lockFile = join(directory, lockName(session));
    let triedAt = Number.NEGATIVE_INFINITY;
    let lock: Lock | undefined;
    let renewedAt = performance.now();
    let received: Promise<void> | undefined;
    let failure: AmpError | undefined;
    this.#isFollowing = true;
    this.failure = undefined;
    this.#followedAt = performance.now();
    try {
      while (!receiving.signal.aborted && (await this.#options.session()) === session) {
        // What came into a new directory before it was watched is found by the next look.
        if (watch.follow([directory, ...(await this.#look(session))])) this.#tick.shorten(LOOK_GAP);
        // Each try makes a file in a directory that is watched: were it not for the pause, it would wake the next one.
        if (lock === undefined && performance.now() - triedAt >= TICK) {
          triedAt = performance.now();
          lock = await this.#tryLock(lockFile);
          if (lock) {
            received = this.#receive(session, receiving.signal).catch((thrown: unknown) => {
              failure = toAmpError(thrown);
              receiving.abort();
            });
          }
        } else if (lock && performance.now() - renewedAt > LEASE_RENEWAL) {
          renewedAt = performance.now();
          // Asleep for too long, this process was taken for dead.
          if (!(await lock.renew())) receiving.abort();
        }
        this.#listenForBell(directory);
        await this.#tick.for(TICK, receiving.signal);
      }
    } finally {
      this.#isFollowing = false;
      receiving.abort();
      signal.removeEventListener("abort", stop);
      watch.close();
      await received;
      await lock?.release();
      this.#former = lock;
    }
    if (failure) throw failure;
  }

  /** Where nothing can be written, mail can still be read from the disk. */
  async #tryLock(file: string): Promise<Lock | undefined> {
    try {
      const lock = await tryLock(this.#options.home.disk, file, LEASE_STALE, this.#former);
      this.#unlockable = undefined;
      return lock;
    } catch (thrown) {
      if (this.#unlockable === undefined) this.#options.log(thrown);
      this.#unlockable = toAmpError(thrown);
      return undefined;
    }
  }

  async #receive(session: Session, signal: AbortSignal): Promise<void> {
    const { client, mailbox } = session;
    const receiver = new Receiver(client, mailbox.intake, {
      now: this.#options.now,
      pause: (milliseconds, stop) => this.#receiverPause.for(milliseconds, stop),
      elsewhere: (stop) => this.#options.elsewhere(session, stop),
    });
    this.#receiver = receiver;
    try {
      const onArrival = () => void this.#look(session).catch(this.#options.log);
      await receiver.run(onArrival, signal);
    } finally {
      this.#receiver = undefined;
    }
  }

  /** Looks at the disk, tells of a change, and says which directories to watch. */
  async #look({ announcer }: Session): Promise<string[]> {
    const { unread, directories } = await announcer.look();
    const ids = new Set(unread.keys());
    const isSame = ids.size === this.#unread.size && [...ids].every((id) => this.#unread.has(id));
    this.#unread = ids;
    if (!isSame) for (const listener of this.#listeners) listener();
    return directories;
  }

  #listenForBell(directory: string): void {
    const rung = this.#options.home.disk.stamp(bellOf(directory));
    if (this.#receiver && rung !== this.#bell) this.#hurry();
    this.#bell = rung;
  }

  #hurry(): void {
    this.#receiver?.activity();
    // Who asked for fewer questions gets fewer.
    if (this.#receiver?.problem?.code === "rate_limited") return;
    this.#receiverPause.shorten(IDLE_MIN);
  }
}

/** One receiver for each place where this agent's mail may lie: servers need not be configured alike. */
function lockName({ client, profile, settings }: Session): string {
  const isOwn = client.base === profile.endpoint && !settings.dashboard;
  if (isOwn) return ".receiver.lock";
  const place = createHash("sha256").update(`${client.base} ${settings.dashboard}`).digest("hex").slice(0, 12);
  return `.receiver-${place}.lock`;
}

/** Touched by a process that does not receive itself, for the one that does. */
function bellOf(directory: string): string {
  return join(directory, ".receiver.bell");
}
