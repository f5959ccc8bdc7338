import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { sep } from "node:path";
import { type Glance, glanceAt } from "../wire/glance.ts";
import { parseJson } from "../wire/json.ts";
import { MESSAGE_FILE_MAX_BYTES, RACY_AGE, TORN_AGE } from "../wire/limits.ts";

export interface UnreadFile extends Glance {
  path: string;
  /** Milliseconds since 1970. */
  changedAt: number;
}

export interface Look {
  /** By id. A message of which any copy is marked read is not unread. */
  unread: ReadonlyMap<string, UnreadFile>;
  /** Milliseconds since 1970 when the look began. */
  at: number;
  /** False where a file could not be read: it is being written, or damaged. */
  isComplete: boolean;
  /** The inboxes, as they were given. */
  inboxes: readonly string[];
  /** Those and the directories of senders in them. */
  directories: string[];
  /** Files that had to be read. */
  reads: number;
}

/** By which a change is seen: less than a `Stats`, of which ten thousand are megabytes. */
type Mark = Pick<Stats, "mtimeMs" | "size" | "ino">;

interface Directory {
  about: Mark;
  /** When it was listed. */
  at: number;
  directories: readonly string[];
  files: readonly string[];
}

interface Seen {
  about: Mark;
  glance: Glance | undefined;
}

/**
 * Which messages below some inboxes nobody has read, at the least cost: a directory is listed again only when it has
 * changed, and a file that was marked read is not looked at again; that it could be made unread is no news.
 * Synchronous, because a hook is over before the first asynchronous call would be.
 */
export class UnreadFiles {
  readonly #since: number;
  readonly #directories = new Map<string, Directory>();
  readonly #files = new Map<string, Seen>();
  readonly #moved = new Set<string>();
  #reads = 0;

  /** @param since Milliseconds since 1970: what has not changed from then on is passed over as known. */
  constructor(since = 0) {
    this.#since = since;
  }

  /** @param most Files to read at once: the rest is left for the next look, and this one is not complete. */
  look(inboxes: readonly string[], most = Number.POSITIVE_INFINITY): Look {
    const at = Date.now();
    const unread = new Map<string, UnreadFile>();
    const done = new Set<string>();
    let isComplete = true;
    this.#reads = 0;
    for (const path of inboxes.flatMap((inbox) => this.#filesBelow(inbox, at))) {
      const glance = this.#reads < most ? this.#glance(path, at) : "not now";
      if (glance === "not now") isComplete = false;
      else if (glance === "gone" || glance === "known") continue;
      else if (glance.isUnread && !done.has(glance.id)) {
        unread.set(glance.id, { ...glance, path, changedAt: this.#files.get(path)?.about.mtimeMs ?? at });
      } else {
        done.add(glance.id);
        unread.delete(glance.id);
      }
    }
    const directories = inboxes.flatMap((inbox) => [inbox, ...(this.#directories.get(inbox)?.directories ?? [])]);
    return { unread, at, isComplete, inboxes, directories, reads: this.#reads };
  }

  /** The file as it is at this moment, whatever was seen of it before. One that cannot be read counts as unread. */
  static isStillUnread({ path }: UnreadFile): boolean {
    const about = stat(path);
    if (about === undefined) return false;
    return read(path, about)?.isUnread ?? true;
  }

  #filesBelow(inbox: string, now: number): string[] {
    const { files, directories } = this.#list(inbox, now);
    return [...files, ...directories.flatMap((directory) => this.#list(directory, now).files)];
  }

  #list(path: string, now: number): Pick<Directory, "files" | "directories"> {
    const about = stat(path);
    if (about === undefined) return { files: [], directories: [] };
    const known = this.#directories.get(path);
    // Times are coarse: what changed just before the last look may have changed again without a new time.
    const isSettled = known !== undefined && known.at - known.about.mtimeMs > RACY_AGE;
    if (isSettled && isUnchanged(known.about, about)) return known;
    const names = entries(path);
    const files = names.filter((name) => name.endsWith(".json")).map((name) => path + sep + name);
    const directories = names.filter((name) => !name.endsWith(".json")).map((name) => path + sep + name);
    const present = new Set(files);
    for (const file of known?.files ?? []) if (!present.has(file)) this.#files.delete(file);
    const isOld = changedAt(about) < this.#since;
    // A directory that was moved here has a new time of its own, and its files have their old ones.
    if (!isOld && about.ctimeMs > about.mtimeMs) for (const file of files) this.#moved.add(file);
    const listed = { about: markOf(about), at: now, files: isOld ? [] : files, directories };
    this.#directories.set(path, listed);
    return listed;
  }

  /** `not now` for a file that cannot be read: it is being written, or damaged, and may become news later. */
  #glance(path: string, now: number): Glance | "known" | "gone" | "not now" {
    const known = this.#files.get(path);
    if (known?.glance?.isUnread === false) return known.glance;
    const about = stat(path);
    if (about === undefined) return "gone";
    if (known !== undefined && isUnchanged(known.about, about)) return known.glance ?? "not now";
    if (changedAt(about) < this.#since && !this.#moved.has(path)) return "known";
    this.#reads += 1;
    const glance = read(path, about);
    // What scripts write in place is complete a moment later: a young file is looked at again.
    if (glance === undefined && now - about.mtimeMs < TORN_AGE) this.#files.delete(path);
    else this.#files.set(path, { about: markOf(about), glance });
    return glance ?? "not now";
  }
}

function read(path: string, about: Stats): Glance | undefined {
  if (!about.isFile() || about.size > MESSAGE_FILE_MAX_BYTES) return undefined;
  try {
    return glanceAt(parseJson(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

function stat(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => !name.startsWith("."));
  } catch {
    return [];
  }
}

/** The later of both times: a moved or restored file keeps the one and gets the other. */
function changedAt(about: Stats): number {
  return Math.max(about.mtimeMs, about.ctimeMs);
}

function markOf({ mtimeMs, size, ino }: Stats): Mark {
  return { mtimeMs, size, ino };
}

function isUnchanged(before: Mark, now: Mark): boolean {
  return before.mtimeMs === now.mtimeMs && before.size === now.size && before.ino === now.ino;
}
