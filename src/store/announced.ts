import { join } from "node:path";
import { isObject, parseJson } from "../wire/json.ts";
import { CLAIM_STALE, LEDGER_STALE, LEDGER_WAIT, MESSAGE_FILE_MAX_BYTES, TOLD_KEPT } from "../wire/limits.ts";
import { type Disk, SECRET_MODE } from "./disk.ts";
import { hasEnded, thisProcess, withLock } from "./lock.ts";

/** Who is telling about a message at this moment. */
interface Teller {
  pid: number;
  host: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** A look that has seen everything. */
export interface Complete {
  /** Ids of all unread messages; `undefined` where what had not changed since `since` was passed over. */
  waiting: ReadonlySet<string> | undefined;
  since?: number | undefined;
  /** Milliseconds since 1970. */
  at: number;
  /** Directories that were looked into, without those of senders. */
  inboxes: readonly string[];
}

interface Ledger {
  /** When a message was told about, by id. */
  told: Map<string, number>;
  telling: Map<string, Teller>;
  /** All that was in `inboxes` at that time has been told about, or is being told. */
  lookedAt: number;
  inboxes: readonly string[];
  /** When the hook of a host last told about something. */
  hooks: Map<string, number>;
}

/**
 * `announced.json` of one agent: which messages its assistant has been told about, by whichever process. A message is
 * claimed first and noted as told afterwards; a claim whose process has ended in between is void, so that a message may
 * be told about twice, but not never. A ledger that is missing or damaged counts as empty, for the same reason, and
 * nothing is flushed: a power cut ends the sessions that were told.
 */
export class Announced {
  readonly #disk: Disk;
  readonly #file: string;
  readonly #lock: string;
  readonly #now: () => number;

  constructor(disk: Disk, agentDirectory: string, now: () => number) {
    this.#disk = disk;
    this.#file = join(agentDirectory, "announced.json");
    this.#lock = join(agentDirectory, ".announced.lock");
    this.#now = now;
  }

  /** Changes whenever the ledger does. */
  get stamp(): string | undefined {
    return this.#disk.stamp(this.#file);
  }

  /** Those of `ids` that nobody has told about; somebody may be doing it at this moment. */
  async untold(ids: Iterable<string>): Promise<string[]> {
    const { told } = await this.#read();
    return [...ids].filter((id) => !told.has(id));
  }

  /** From when on a look at these inboxes has to look: 0 where everything may be news. */
  async lookedAt(inboxes: readonly string[]): Promise<number> {
    const { lookedAt, telling, inboxes: known } = ledgerIn(await this.#content(), "without what was told");
    const isVoid = [...telling.values()].some((teller) => this.#isVoid(teller));
    const isOther = inboxes.some((inbox) => !known.includes(inbox));
    // A time yet to come was noted while a clock was wrong.
    return isVoid || isOther || lookedAt > this.#now() ? 0 : lookedAt;
  }

  async hooks(): Promise<[host: string, at: number][]> {
    return [...(await this.#read()).hooks];
  }

  /**
   * Claims those of `ids` that are open and that `isDue` still says yes to, now that nobody else can claim them.
   *
   * @param complete Where everything was seen, and `ids` is all that is untold of it: the ledger forgets the rest.
   * @returns The ids that are the caller's to tell about; `settle` is to follow.
   * @throws AmpError `locked` or `storage_failed`: nothing was claimed.
   */
  async claim(ids: readonly string[], isDue: (id: string) => boolean, complete?: Complete): Promise<string[]> {
    return this.#change((ledger) => {
      const claimed = ids.filter((id) => this.#isOpen(ledger, id) && isDue(id));
      const teller = { ...thisProcess(), at: this.#now() };
      for (const id of claimed) ledger.telling.set(id, teller);
      if (complete !== undefined) this.#tidy(ledger, complete);
      return claimed;
    });
  }

  /** Notes that nothing was to be told, so that the next look need not go as far back. */
  async looked(complete: Complete): Promise<void> {
    await this.#change((ledger) => this.#tidy(ledger, complete));
  }

  /** What was told about, or with `false` was not: then others may. Claims of other processes stay. */
  async settle(ids: readonly string[], isTold: boolean, hook?: string): Promise<void> {
    await this.#change((ledger) => {
      const at = this.#now();
      for (const id of ids) {
        if (isTold || isOurs(ledger.telling.get(id))) ledger.telling.delete(id);
        if (isTold) ledger.told.set(id, at);
      }
      if (!isTold) ledger.lookedAt = 0;
      if (hook !== undefined) ledger.hooks.set(hook, at);
    });
  }

  #isOpen(ledger: Ledger, id: string): boolean {
    const teller = ledger.telling.get(id);
    return !ledger.told.has(id) && (teller === undefined || this.#isVoid(teller));
  }

  #isVoid(teller: Teller): boolean {
    return hasEnded(teller) || Math.abs(this.#now() - teller.at) > CLAIM_STALE;
  }

  #tidy(ledger: Ledger, { waiting, since, at, inboxes }: Complete): void {
    // What was passed over had been told about when the look began; somebody may have withdrawn it since.
    if (waiting === undefined && ledger.lookedAt !== since) return;
    ledger.lookedAt = at;
    ledger.inboxes = inboxes;
    if (waiting === undefined) return;
    for (const [id, told] of ledger.told) if (!waiting.has(id) && at - told > TOLD_KEPT) ledger.told.delete(id);
    for (const [id, teller] of ledger.telling) if (this.#isVoid(teller) && !waiting.has(id)) ledger.telling.delete(id);
  }

  #change<T>(change: (ledger: Ledger) => T): Promise<T> {
    const work = async () => {
      // One that cannot be read at this moment is not overwritten.
      const ledger = ledgerIn(await this.#disk.read(this.#file, MESSAGE_FILE_MAX_BYTES));
      const result = change(ledger);
      await this.#disk.write(this.#file, written(ledger), SECRET_MODE, false);
      return result;
    };
    return withLock(this.#disk, this.#lock, work, { wait: LEDGER_WAIT, stale: LEDGER_STALE });
  }

  async #read(): Promise<Ledger> {
    return ledgerIn(await this.#content());
  }

  #content(): Promise<string | undefined> {
    return this.#disk.read(this.#file, MESSAGE_FILE_MAX_BYTES).catch(() => undefined);
  }
}

/** The ledger in a file's text; empty where there is none or it is damaged. */
function ledgerIn(content: string | undefined, part?: "without what was told"): Ledger {
  const file = content === undefined ? undefined : parseJson(content);
  const { told, telling, looked_at, inboxes, hooks } = isObject(file) ? file : {};
  return {
    told: new Map(part ? [] : entries(told).filter(isTime)),
    telling: new Map(entries(telling).flatMap(([id, one]) => (isTeller(one) ? [[id, one]] : []))),
    lookedAt: typeof looked_at === "number" ? looked_at : 0,
    inboxes: Array.isArray(inboxes) ? inboxes.filter((path) => typeof path === "string") : [],
    hooks: new Map(entries(hooks).filter(isTime)),
  };
}

function isOurs(teller: Teller | undefined): boolean {
  const { pid, host } = thisProcess();
  return teller?.pid === pid && teller.host === host;
}

function written({ told, telling, lookedAt, inboxes, hooks }: Ledger): string {
  const maps = { told: entriesOf(told), telling: entriesOf(telling), hooks: entriesOf(hooks) };
  return `${JSON.stringify({ version: 1, looked_at: lookedAt, inboxes, ...maps })}\n`;
}

/** Ids are other people's words: `__proto__` is one like any other. */
function entriesOf<T>(map: Map<string, T>): [string, T][] {
  return [...map];
}

function entries(list: unknown): [string, unknown][] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((one: unknown) => (Array.isArray(one) && typeof one[0] === "string" ? [[one[0], one[1]]] : []));
}

function isTime(entry: [string, unknown]): entry is [string, number] {
  return typeof entry[1] === "number";
}

function isTeller(value: unknown): value is Teller {
  if (!isObject(value)) return false;
  return typeof value.pid === "number" && typeof value.host === "string" && typeof value.at === "number";
}
