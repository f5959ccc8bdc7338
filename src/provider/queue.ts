import { randomInt } from "node:crypto";
import path from "node:path";
import * as z from "zod";
import { messageFileName } from "../wire/address.ts";
import { isObject, parseJson } from "../wire/json.ts";
import { QUEUE_LIFETIME } from "../wire/limits.ts";
import { type Disk, makeDirectory, names, readText, remove, syncDirectory } from "./disk.ts";
import { Positions } from "./positions.ts";

/** A waiting message, as it lies in its file and as the API hands it out. Payloads are kept as they came. */
const itemSchema = z.object({
  id: z.string(),
  envelope: z.custom<Record<string, unknown>>(isObject),
  payload: z.custom<Record<string, unknown>>(isObject),
  /** Raw, hex. */
  sender_public_key: z.string(),
  queued_at: z.string(),
  expires_at: z.string(),
  delivery_attempts: z.number(),
});
export type QueueItem = z.infer<typeof itemSchema>;

export interface Page {
  messages: QueueItem[];
  count: number;
  remaining: number;
  /** For what comes after these messages. */
  next_cursor: string;
}

export interface Count {
  count: number;
  /** ISO 8601; of the first in the queue. */
  oldest_queued_at: string | null;
  /** For what comes after all that is there now. */
  cursor: string;
}

/** `<place in the queue>_<id>.json`; the id holds the millisecond in which the message was queued. */
const FILE = /^(\d{12})_msg_(\d{1,15})_[0-9a-z]{7}\.json$/;
const PLACE_DIGITS = 12;
const ID_RANDOM_DIGITS = 7;

/** AI Maestro's form: `msg_<milliseconds>_<7 base-36 digits>`. */
export function newMessageId(now: number): string {
  const random = randomInt(36 ** ID_RANDOM_DIGITS).toString(36);
  return `msg_${now}_${random.padStart(ID_RANDOM_DIGITS, "0")}`;
}

/** When a message queued at `now` leaves the queue unread. */
export function expiry(now: number): number {
  return now + QUEUE_LIFETIME;
}

/**
 * One directory of messages per agent id, one file a message. The directory is the truth: it is read each time, since
 * another process may serve it too. First in, first out: a message gets the place after the last one there, so an
 * answered message is before all that are sent after it, whatever clocks do.
 */
export class Queue {
  readonly #disk: Disk;
  readonly #onQueued: (agentId: string) => void;
  /** One for each agent that has asked for its messages, and no agent is ever unregistered. */
  readonly #positions = new Map<string, Positions>();
  static readonly folder = "queue";

  /** `onQueued` is told of each message when it is on disk. */
  constructor(disk: Disk, onQueued: (agentId: string) => void) {
    this.#disk = disk;
    this.#onQueued = onQueued;
  }

  /** On disk when this returns. Removes what has expired, since a listing must not. */
  async append(agentId: string, item: QueueItem, now: number): Promise<void> {
    const directory = this.#directory(agentId);
    await makeDirectory(directory);
    const files = await names(directory);
    const last = files.reduce((highest, file) => Math.max(highest, Number(FILE.exec(file)?.[1] ?? 0)), 0);
    const place = String(last + 1).padStart(PLACE_DIGITS, "0");
    await this.#disk.publish(item, path.join(directory, `${place}_${messageFileName(item.id)}`));
    this.#onQueued(agentId);
    await Promise.all(files.filter((file) => isExpired(file, now)).map((file) => remove(path.join(directory, file))));
  }

  /**
   * The first `limit` messages, or the first after a cursor; only their files are read. An unreadable file hides none of
   * the others. Throws the 410 for a cursor that is unknown.
   */
  async page(agentId: string, limit: number, now: number, after?: string): Promise<Page> {
    const positions = this.#positionsOf(agentId);
    const start = after === undefined ? 0 : positions.position(after);
    const waiting = (await positions.look()).filter(({ file, position }) => position > start && !isExpired(file, now));
    const messages: QueueItem[] = [];
    let read = 0;
    while (messages.length < limit && read < waiting.length) {
      const next = waiting.slice(read, read + limit - messages.length);
      const items = await Promise.all(next.map(({ file }) => readItem(path.join(this.#directory(agentId), file))));
      messages.push(...items.filter((item) => item !== undefined));
      read += next.length;
    }
    const end = waiting[read - 1]?.position ?? start;
    return { messages, count: messages.length, remaining: waiting.length - read, next_cursor: positions.cursor(end) };
  }

  /** How many wait. No message is read. */
  async count(agentId: string, now: number): Promise<Count> {
    const positions = this.#positionsOf(agentId);
    const present = await positions.look();
    const waiting = present.filter(({ file }) => !isExpired(file, now));
    const oldest = queuedAt(waiting[0]?.file ?? "");
    return {
      count: waiting.length,
      oldest_queued_at: oldest === undefined ? null : new Date(oldest).toISOString(),
      cursor: positions.cursor(present.at(-1)?.position ?? 0),
    };
  }

  /** How many of `ids` were waiting and are gone now. An id is only compared with names, never made a path. */
  async remove(agentId: string, ids: readonly string[], now: number): Promise<number> {
    const directory = this.#directory(agentId);
    const wanted = new Set(ids.map(messageFileName));
    const found = (await names(directory)).filter(
      (file) => FILE.test(file) && !isExpired(file, now) && wanted.has(file.slice(PLACE_DIGITS + 1)),
    );
    const removed = await Promise.all(found.map((file) => remove(path.join(directory, file))));
    if (found.length > 0) await syncDirectory(directory);
    return removed.filter(Boolean).length;
  }

  #positionsOf(agentId: string): Positions {
    const known = this.#positions.get(agentId);
    if (known) return known;
    const positions = new Positions(async () =>
      (await names(this.#directory(agentId))).filter((file) => FILE.test(file)),
    );
    this.#positions.set(agentId, positions);
    return positions;
  }

  #directory(agentId: string): string {
    return this.#disk.path(Queue.folder, agentId);
  }
}

function isExpired(file: string, now: number): boolean {
  const queued = queuedAt(file);
  return queued !== undefined && expiry(queued) <= now;
}

/** Milliseconds, by the name alone. */
function queuedAt(file: string): number | undefined {
  const queued = FILE.exec(file)?.[2];
  return queued === undefined ? undefined : Number(queued);
}

async function readItem(file: string): Promise<QueueItem | undefined> {
  const item = itemSchema.safeParse(parseJson((await readText(file)) ?? ""));
  return item.success ? item.data : undefined;
}
