import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import * as fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { AmpError, systemCode } from "../errors.ts";

export const SECRET_MODE = 0o600;
export const PUBLIC_MODE = 0o644;
export const PRIVATE_DIRECTORY_MODE = 0o700;

/** What `Disk` is about to do; a test stops the process here to see what a crash leaves behind. */
export type BeforeOperation = (operation: string, path: string) => void;

/**
 * The file layer: whole files only, each write complete and flushed before it becomes visible. A temporary file
 * starts with a dot and ends in `.tmp`, because the ecosystem's scripts die of an unreadable `*.json` in an inbox.
 * All but flushing is synchronous inside: these files are small, and handing such a call to a thread takes ten times as
 * long as the call.
 */
export class Disk {
  readonly #before: BeforeOperation;

  constructor(before: BeforeOperation = () => {}) {
    this.#before = before;
  }

  /** The text of a regular file of at most `maxBytes`; `undefined` where there is none, or something else. */
  async read(path: string, maxBytes: number): Promise<string | undefined> {
    try {
      const about = statSync(path);
      if (!about.isFile() || about.size > maxBytes) return undefined;
      return readFileSync(path, "utf8");
    } catch (thrown) {
      if (isAbsent(thrown) || systemCode(thrown) === "EACCES") return undefined;
      throw storageFailed("read", path, thrown);
    }
  }

  /** Replaces or makes a file: temporary name, flush, rename, flush of the directory. */
  async write(path: string, content: string, mode: number, isFlushed = true): Promise<void> {
    const temporary = await this.#temporary(path, content, mode, isFlushed);
    try {
      this.#before("rename", path);
      renameSync(temporary, path);
      if (isFlushed) await flushDirectory(dirname(path));
    } catch (thrown) {
      rmSync(temporary, { force: true });
      throw storageFailed("write", path, thrown);
    }
  }

  /**
   * Replaces a file only while it still holds `expected` (`undefined`: while there is none); `false` where it does
   * not. The ecosystem's scripts take no locks, so the last look and the rename are two calls with nothing between.
   */
  async replace(path: string, expected: string | undefined, content: string, mode: number): Promise<boolean> {
    const temporary = await this.#temporary(path, content, mode);
    try {
      this.#before("rename", path);
      if (contentOf(path) !== expected) {
        rmSync(temporary, { force: true });
        return false;
      }
      renameSync(temporary, path);
      await flushDirectory(dirname(path));
      return true;
    } catch (thrown) {
      rmSync(temporary, { force: true });
      throw storageFailed("write", path, thrown);
    }
  }

  /**
   * Makes a file only if none of that name exists: of many processes exactly one gets `true`. The name appears with
   * the whole content behind it.
   *
   * @param isFlushed `false` (here and in `write`) for what nobody misses after a power cut, such as a lock: flushing
   *   is most of the time that a file costs.
   */
  async create(path: string, content: string, mode: number, isFlushed = true): Promise<boolean> {
    const temporary = await this.#temporary(path, content, mode, isFlushed);
    try {
      this.#before("link", path);
      linkSync(temporary, path);
      if (isFlushed) await flushDirectory(dirname(path));
      return true;
    } catch (thrown) {
      if (systemCode(thrown) === "EEXIST") return false;
      throw storageFailed("create", path, thrown);
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  async #temporary(path: string, content: string, mode: number, isFlushed = true): Promise<string> {
    const temporary = join(dirname(path), `.${process.pid}.${randomHex()}.tmp`);
    this.#before("open", temporary);
    try {
      if (!isFlushed) {
        writeFileSync(temporary, content, { flag: "wx", mode });
        return temporary;
      }
      const file = await fs.open(temporary, "wx", mode);
      try {
        await file.writeFile(content, "utf8");
        await file.sync();
      } finally {
        await file.close();
      }
      return temporary;
    } catch (thrown) {
      rmSync(temporary, { force: true });
      throw storageFailed("write", path, thrown);
    }
  }

  /** Gives a file the present time; `false` where there is none. */
  async touch(path: string): Promise<boolean> {
    this.#before("touch", path);
    try {
      const now = new Date();
      utimesSync(path, now, now);
      return true;
    } catch (thrown) {
      if (isAbsent(thrown)) return false;
      throw storageFailed("touch", path, thrown);
    }
  }

  /** Makes a directory and its parents; one that is there keeps its mode. */
  async makeDirectory(path: string, mode = PRIVATE_DIRECTORY_MODE): Promise<void> {
    this.#before("mkdir", path);
    try {
      mkdirSync(path, { recursive: true, mode });
    } catch (thrown) {
      throw storageFailed("make the directory", path, thrown);
    }
  }

  /** Gives a file another name; of several processes exactly one gets `true`. */
  async takeAway(path: string, to: string): Promise<boolean> {
    this.#before("rename", path);
    try {
      renameSync(path, to);
      return true;
    } catch (thrown) {
      if (isAbsent(thrown)) return false;
      throw storageFailed("rename", path, thrown);
    }
  }

  /** A relative symbolic link. `false` where the name is taken or the system has no such links. */
  async symlink(target: string, path: string): Promise<boolean> {
    this.#before("symlink", path);
    try {
      await fs.symlink(target, path, "dir");
      return true;
    } catch (thrown) {
      if (["EEXIST", "EPERM", "EACCES", "ENOSYS", "UNKNOWN"].includes(systemCode(thrown) ?? "")) return false;
      throw storageFailed("link", path, thrown);
    }
  }

  /** Where a symbolic link points, as written; `undefined` if it is none. */
  async linkTarget(path: string): Promise<string | undefined> {
    return fs.readlink(path).catch(() => undefined);
  }

  /** Removes a file or a link, never a directory. */
  async remove(path: string): Promise<void> {
    this.#before("remove", path);
    try {
      unlinkSync(path);
    } catch (thrown) {
      if (!isAbsent(thrown)) throw storageFailed("remove", path, thrown);
    }
  }

  /** Changes whenever the file does; `undefined` where there is none. */
  stamp(path: string): string | undefined {
    try {
      const about = statSync(path, { throwIfNoEntry: false });
      return about && `${about.ino}:${about.size}:${about.mtimeMs}`;
    } catch {
      return undefined;
    }
  }

  /** Permission bits and kind of what is at `path`, links not followed; `undefined` where nothing is. */
  async about(path: string): Promise<{ mode: number; kind: "file" | "directory" | "link" | "other" } | undefined> {
    const about = await fs.lstat(path).catch(() => undefined);
    if (about === undefined) return undefined;
    const kind = about.isSymbolicLink()
      ? "link"
      : about.isDirectory()
        ? "directory"
        : about.isFile()
          ? "file"
          : "other";
    return { mode: about.mode & 0o777, kind };
  }

  async isOlderThan(path: string, milliseconds: number): Promise<boolean> {
    const about = await fs.lstat(path).catch(() => undefined);
    return about !== undefined && Date.now() - about.mtimeMs > milliseconds;
  }

  async changeMode(path: string, mode: number): Promise<void> {
    this.#before("chmod", path);
    try {
      await fs.chmod(path, mode);
    } catch (thrown) {
      throw storageFailed("change the mode of", path, thrown);
    }
  }

  /** Names in a directory, sorted; none if it is not there. */
  async names(path: string): Promise<string[]> {
    try {
      return readdirSync(path).sort();
    } catch (thrown) {
      if (isAbsent(thrown) || systemCode(thrown) === "EACCES") return [];
      throw storageFailed("list", path, thrown);
    }
  }

  /** The true path of a directory behind any links; `undefined` where there is none. */
  async realDirectory(path: string): Promise<string | undefined> {
    try {
      const real = realpathSync.native(path);
      return statSync(real).isDirectory() ? real : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Whether a file name is one that `Disk` gives to a file that is not complete yet, or `withLock` to a lock taken over. */
export function isTemporary(name: string): boolean {
  return /^\.(?:\d+|.+\.lock)\.[0-9a-f]{12}\.tmp$/.test(name);
}

/** 12 digits, to keep names apart, never to keep them secret: `node:crypto` takes longer to load than a hook has. */
export function randomHex(): string {
  return Math.floor(Math.random() * 2 ** 48)
    .toString(16)
    .padStart(12, "0");
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined;
    throw thrown;
  }
}

function isAbsent(thrown: unknown): boolean {
  const code = systemCode(thrown);
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}

/** Renames are durable once their directory is; Windows cannot flush one and does not need to. */
async function flushDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await fs.open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export function storageFailed(action: string, path: string, cause: unknown): AmpError {
  return new AmpError("storage_failed", {
    message: `Could not ${action} ${path}${systemCode(cause) ? ` (${systemCode(cause)})` : ""}.`,
    next: "Check that the directory exists, belongs to you and has free space; then call again.",
    mender: "person",
    cause,
  });
}
