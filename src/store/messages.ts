import { type Stats, statSync } from "node:fs";
import { join, sep } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { addressDirectory, hashedFileName, messageFileName, sameMessageId } from "../wire/address.ts";
import { isObject, parseJson, text } from "../wire/json.ts";
import { CHANGE_ATTEMPTS, MESSAGE_FILE_MAX_BYTES, TORN_AGE, TORN_LOOKS, TORN_PAUSE } from "../wire/limits.ts";
import { type Message, readMessage } from "../wire/message.ts";
import { shownId } from "../wire/untrusted.ts";
import { type Disk, SECRET_MODE, storageFailed } from "./disk.ts";

export type Status = "unread" | "read" | "archived";

/** A message file as every tool of the ecosystem writes it: `{envelope, payload, metadata, local[, sender key]}`. */
export interface StoredMessage {
  message: Message;
  path: string;
  /** Other files with the same id; marked with it, so that every tool sees the same. */
  copies: readonly string[];
  status: Status;
  /** Base of the provider whose queue it came from and waits in; `undefined` for a file that another tool wrote. */
  queuedAt: string | undefined;
  /** It came from AI Maestro's dashboard, which lists it until it is marked read there. */
  isFromDashboard: boolean;
  /** It came from a queue that was too long and waits on disk alone since; see `release`. */
  isReleased: boolean;
  /** Milliseconds since 1970 when it was received, for its age; the file's own time if it does not say. */
  receivedAt: number;
}

/** Where a message came from. */
export interface Received {
  at: Date;
  /** Base of the provider. */
  from: string;
  /** It waits in the provider's queue, too. */
  isQueued: boolean;
}

interface Cached {
  about: Stats;
  stored: StoredMessage | undefined;
}

/**
 * The message files of one agent. Directories are read afresh each time, files only when they changed. Payloads are
 * never rewritten: marking changes `metadata` and `local` alone.
 */
export class MessageStore {
  readonly #disk: Disk;
  readonly #cache = new Map<string, Cached>();
  /** Where a message was last seen. */
  readonly #paths = new Map<string, string>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * All messages below some inbox or sent directories (`<dir>/<address>/<id>.json`, and flat), one per id, and the
   * files that could not be read: being written at this moment, or damaged.
   */
  async list(directories: readonly string[]): Promise<{ messages: StoredMessage[]; unreadable: string[] }> {
    const messages = new Map<string, StoredMessage>();
    const unreadable: string[] = [];
    for (const path of await this.#files(directories)) {
      // Without a pause for what did not change: of ten thousand files nearly all.
      const stored = this.#unchanged(path) ?? (await this.#load(path));
      if (stored === undefined) unreadable.push(path);
      else {
        const { id } = stored.message.envelope;
        const first = messages.get(id);
        messages.set(id, first ? { ...first, copies: [...first.copies, path] } : stored);
      }
    }
    return { messages: [...messages.values()], unreadable };
  }

  async #files(directories: readonly string[]): Promise<string[]> {
    const files: string[] = [];
    for (const directory of directories) {
      for (const name of await this.#disk.names(directory)) {
        if (name.startsWith(".")) continue;
        const path = directory + sep + name;
        if (name.endsWith(".json")) files.push(path);
        else for (const file of await this.#disk.names(path)) if (isMessageFile(file)) files.push(path + sep + file);
      }
    }
    return files;
  }

  /** The files that are there at this moment; what is in them is read where it never was. */
  async files(directories: readonly string[]): Promise<string[]> {
    const files = await this.#files(directories);
    for (const path of files) if (!this.#cache.has(path)) await this.#load(path);
    return files;
  }

  /** Whether a file with this id is there as it was when it was last read. Of others it cannot be said. */
  isKept(id: string): boolean {
    const path = this.#paths.get(id);
    return path !== undefined && this.#unchanged(path) !== undefined;
  }

  /** Every file of the messages that were acknowledged in all of their files, and received before `time`. */
  async acknowledgedBefore(directories: readonly string[], time: number): Promise<{ id: string; path: string }[]> {
    const kept = new Set<string>();
    const files: { id: string; path: string }[] = [];
    for (const path of await this.#files(directories)) {
      const stored = await this.#load(path);
      if (stored === undefined) continue;
      const { id } = stored.message.envelope;
      if (stored.status === "unread" || stored.receivedAt >= time) kept.add(id);
      else files.push({ id, path });
    }
    return files.filter(({ id }) => !kept.has(id));
  }

  #unchanged(path: string): StoredMessage | undefined {
    const cached = this.#cache.get(path);
    const about = cached?.stored && look(path);
    return about && isUnchanged(cached.about, about) ? cached.stored : undefined;
  }

  async #load(path: string, looks = 1): Promise<StoredMessage | undefined> {
    // A thousand files are looked at for one page; the synchronous call is ten times as fast as the other here.
    const about = look(path);
    if (about === undefined) return undefined;
    const cached = this.#cache.get(path);
    if (cached !== undefined && isUnchanged(cached.about, about)) return cached.stored;
    const content = await this.#disk.read(path, MESSAGE_FILE_MAX_BYTES);
    const stored = content === undefined ? undefined : storedMessage(parseJson(content), path, about.mtimeMs);
    if (stored === undefined && looks < TORN_LOOKS && Date.now() - about.mtimeMs < TORN_AGE) {
      await pause(TORN_PAUSE);
      return this.#load(path, looks + 1);
    }
    this.#cache.set(path, { about, stored });
    if (stored !== undefined) this.#paths.set(stored.message.envelope.id, path);
    return stored;
  }

  /**
   * Keeps a message from a provider; of several processes one makes the file, the others find it.
   *
   * @returns Whether this call made it.
   */
  async keep(inbox: string, message: Message, received: Received): Promise<boolean> {
    const directory = join(inbox, addressDirectory(message.envelope.from));
    await this.#disk.makeDirectory(directory);
    const at = received.at.toISOString();
    const file = {
      envelope: message.raw.envelope,
      payload: message.raw.payload,
      ...(message.senderPublicKey === undefined ? {} : { sender_public_key: message.senderPublicKey }),
      metadata: { status: "unread", queued_at: message.queuedAt ?? at, delivery_attempts: 1 },
      local: {
        received_at: at,
        status: "unread",
        delivery_method: received.isQueued ? "relay" : "dashboard",
        fetched_from: received.from,
        expires_at: message.expiresAt ?? null,
      },
    };
    return this.#place(directory, message.envelope.id, file);
  }

  /** Under the id's own name, or under its hash where a file of another id has that name (case makes no difference). */
  async #place(directory: string, id: string, file: object, isFlushed = true): Promise<boolean> {
    for (const name of [messageFileName(id), hashedFileName(id)]) {
      const path = join(directory, name);
      const isFree = look(path) === undefined;
      if (isFree && (await this.#disk.create(path, json(file), SECRET_MODE, isFlushed))) return true;
      if ((await this.#load(path))?.message.envelope.id === id) return false;
    }
    throw storageFailed("keep a message in", directory, undefined);
  }

  /** Sets the status in both places that tools look at. The caller holds the mailbox's lock. */
  mark(stored: StoredMessage, status: Status, at: Date): Promise<void> {
    return this.#change(stored, { status }, { status, read_at: at.toISOString() });
  }

  /**
   * Notes that a message waits here alone from now on, not in the provider's queue any more. The caller holds the
   * mailbox's lock.
   */
  release(stored: StoredMessage): Promise<void> {
    return this.#change(stored, {}, { fetched_from: null });
  }

  /** Changes members of `metadata` and `local`, nothing else. A file that vanished meanwhile is left alone. */
  async #change(stored: StoredMessage, metadata: object, local: object): Promise<void> {
    for (const path of [stored.path, ...stored.copies]) await this.#changeFile(path, metadata, local);
  }

  /** Scripts change these files too, in place and without a lock: what they wrote meanwhile is taken up, never undone. */
  async #changeFile(path: string, metadata: object, local: object): Promise<void> {
    for (let attempt = 1; attempt < CHANGE_ATTEMPTS; attempt++) {
      const content = await this.#disk.read(path, MESSAGE_FILE_MAX_BYTES);
      if (content === undefined) return;
      const file = parseJson(content);
      if (!isObject(file)) await pause(TORN_PAUSE);
      else {
        const changed = {
          ...file,
          metadata: { ...(isObject(file.metadata) ? file.metadata : {}), ...metadata },
          local: { ...(isObject(file.local) ? file.local : {}), ...local },
        };
        const mode = look(path)?.mode ?? SECRET_MODE;
        if (await this.#disk.replace(path, content, json(changed), mode & 0o777)) return;
      }
    }
    throw storageFailed("mark the damaged or busy file", path, undefined);
  }

  /** Keeps a copy of what was sent, under the id that the provider gave it. Not flushed: the provider has the message. */
  async keepSent(sent: string, id: string, envelope: object, payload: object, at: Date): Promise<void> {
    const to = "to" in envelope && typeof envelope.to === "string" ? envelope.to : "";
    const directory = join(sent, addressDirectory(to));
    await this.#disk.makeDirectory(directory);
    const time = at.toISOString();
    const file = {
      envelope: { ...envelope, id },
      payload,
      metadata: { status: "read", queued_at: time, delivery_attempts: 1 },
      local: { sent_at: time, status: "read" },
    };
    await this.#place(directory, id, file, false);
  }
}

/** `undefined` also for a link in circles and for what may not be looked at. */
function look(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function isUnchanged(before: Stats, now: Stats): boolean {
  return before.mtimeMs === now.mtimeMs && before.size === now.size && before.ino === now.ino;
}

function isMessageFile(name: string): boolean {
  return name.endsWith(".json") && !name.startsWith(".");
}

function storedMessage(file: unknown, path: string, modifiedAt: number): StoredMessage | undefined {
  const message = readMessage(file);
  if (message === undefined || !isObject(file)) return undefined;
  const local = isObject(file.local) ? file.local : {};
  const status = text(local, "status") ?? text(file.metadata, "status");
  const received = Date.parse(text(local, "received_at") ?? message.envelope.timestamp ?? "");
  return {
    message: { ...message, expiresAt: text(local, "expires_at") ?? message.expiresAt },
    path,
    copies: [],
    status: status === "read" || status === "archived" ? status : "unread",
    queuedAt: local.delivery_method === "relay" ? text(local, "fetched_from") : undefined,
    isFromDashboard: local.delivery_method === "dashboard",
    isReleased: local.delivery_method === "relay" && local.fetched_from === null,
    receivedAt: Number.isNaN(received) ? modifiedAt : received,
  };
}

/** The message with this id, as it is or as it is shown, or the only one whose id ends or begins with what was given. */
export function findMessage(messages: readonly StoredMessage[], wanted: string): StoredMessage | undefined {
  const exact =
    messages.find((stored) => sameMessageId(stored.message.envelope.id, wanted)) ??
    messages.find((stored) => shownId(stored.message.envelope.id) === wanted);
  if (exact || wanted.length < 6) return exact;
  const close = messages.filter(
    ({ message: { envelope } }) => envelope.id.startsWith(wanted) || envelope.id.endsWith(wanted),
  );
  return close.length === 1 ? close[0] : undefined;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
