import { type FSWatcher, watch } from "node:fs";
import { WATCHES_MAX } from "../wire/limits.ts";

/**
 * Tells that something has changed in some directories, and nothing more. Systems lose such events, and some file
 * systems have none: whoever needs to know looks now and then, too.
 */
export class Watch {
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** These directories and no others from now on; of very many the first ones. Returns whether any of them is new. */
  follow(directories: readonly string[]): boolean {
    const wanted = new Set(directories.slice(0, WATCHES_MAX));
    for (const [path, watcher] of this.#watchers) {
      if (wanted.has(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    const added = [...wanted].filter((path) => !this.#watchers.has(path));
    for (const path of added) this.#add(path);
    return added.some((path) => this.#watchers.has(path));
  }

  #add(path: string): void {
    try {
      const watcher = watch(path, { persistent: false }, this.#onChange);
      watcher.on("error", () => this.#drop(path, watcher));
      this.#watchers.set(path, watcher);
    } catch {
      // Gone meanwhile, or the system has no watch left: the looks now and then remain.
    }
  }

  #drop(path: string, watcher: FSWatcher): void {
    watcher.close();
    this.#watchers.delete(path);
  }

  close(): void {
    this.follow([]);
  }
}
