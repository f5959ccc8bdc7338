import { randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import path from "node:path";
import { systemCode } from "../errors.ts";
import { TEMPORARY_STALE } from "../wire/limits.ts";

/**
 * The provider's directory. A file appears under its name complete and flushed, or not at all: it is written to
 * `tmp/`, flushed, then renamed or linked. Whatever a killed process left in `tmp/` is never read.
 */
export class Disk {
  readonly root: string;
  readonly #temporary: string;

  constructor(root: string) {
    this.root = path.resolve(root);
    this.#temporary = this.path("tmp");
  }

  path(...parts: string[]): string {
    return path.join(this.root, ...parts);
  }

  /** Creates the directories and removes temporary files of processes long dead. `now` in milliseconds. */
  async open(directories: readonly string[], now: number): Promise<void> {
    await makeDirectory(this.#temporary);
    for (const name of directories) await makeDirectory(this.path(name));
    for (const name of await fs.readdir(this.#temporary)) {
      const file = path.join(this.#temporary, name);
      const { mtimeMs } = await fs.stat(file).catch(() => ({ mtimeMs: now }));
      if (now - mtimeMs > TEMPORARY_STALE) await fs.rm(file, { force: true });
    }
  }

  /** A flushed temporary file, for `publish` or `claim`. Whoever asks for it removes it with `discard`. */
  async draft(content: unknown): Promise<string> {
    const file = path.join(this.#temporary, `${randomUUID()}.json`);
    const handle = await fs.open(file, "wx", 0o600);
    try {
      await handle.writeFile(JSON.stringify(content), "utf8");
      await handle.sync();
    } finally {
      await handle.close();
    }
    return file;
  }

  discard(draft: string): Promise<void> {
    return fs.rm(draft, { force: true });
  }

  /** Writes `target`, replacing what was there. */
  async publish(content: unknown, target: string): Promise<void> {
    const draft = await this.draft(content);
    try {
      await fs.rename(draft, target);
    } catch (thrown) {
      await this.discard(draft);
      throw thrown;
    }
    await syncDirectory(path.dirname(target));
  }
}

/**
 * Gives `source` the second name `target`; false where that name was taken. Of any number of processes that claim
 * one name exactly one is told true, and the file is complete from the first moment.
 */
export async function claim(source: string, target: string): Promise<boolean> {
  try {
    await fs.link(source, target);
  } catch (thrown) {
    if (systemCode(thrown) === "EEXIST") return false;
    throw thrown;
  }
  await syncDirectory(path.dirname(target));
  return true;
}

/** The file's text, `undefined` where there is none. */
export async function readText(file: string): Promise<string | undefined> {
  try {
    return await fs.readFile(file, "utf8");
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

/** False where somebody else removed it before. The caller flushes the directory, once for all it removed. */
export async function remove(file: string): Promise<boolean> {
  try {
    await fs.unlink(file);
    return true;
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return false;
    throw thrown;
  }
}

/** Names in a directory, none where it does not exist. */
export async function names(directory: string): Promise<string[]> {
  try {
    return await fs.readdir(directory);
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return [];
    throw thrown;
  }
}

export async function makeDirectory(directory: string): Promise<void> {
  const first = await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  // Each new name lives in its parent: from the directory up to the parent of the first one that was made.
  for (let made = directory; made.length >= first.length; made = path.dirname(made)) {
    await syncDirectory(path.dirname(made));
  }
}

/** A new name survives a power cut only when its directory is flushed. Windows has no such call and needs none. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await fs.open(directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code !== "EPERM" && code !== "EISDIR" && code !== "EACCES") throw thrown;
  }
}
