import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { AmpError, systemCode } from "../errors.ts";
import { isObject, parseJson } from "../wire/json.ts";
import { LOCK_GUARD_STALE, LOCK_PAUSE, LOCK_STALE, LOCK_WAIT } from "../wire/limits.ts";
import { type Disk, randomHex, SECRET_MODE } from "./disk.ts";

/**
 * Runs `work` while this process holds the lock file at `path`. The ecosystem's scripts take no locks; this one
 * orders our own processes. A lock whose process is gone, or which is older than any work takes, is taken away.
 *
 * @param options.wait Milliseconds to wait for another process.
 * @param options.stale Milliseconds after which a lock is abandoned, whoever holds it.
 * @throws AmpError `locked` when the wait is over.
 */
export async function withLock<T>(
  disk: Disk,
  path: string,
  work: () => Promise<T>,
  { wait = LOCK_WAIT, stale = LOCK_STALE }: { wait?: number; stale?: number } = {},
): Promise<T> {
  const until = Date.now() + wait;
  let lock = await tryLock(disk, path, stale);
  while (lock === undefined) {
    if (Date.now() > until) throw lockedError(path, wait);
    await pause(LOCK_PAUSE);
    lock = await tryLock(disk, path, stale);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

export interface Lock {
  /** What stands in its file; no two locks have the same. */
  content: string;
  /** Says that the holder is still there; `false` where somebody else has taken the lock over. */
  renew(): Promise<boolean>;
  /** Removes the lock if it is still this one: after a takeover the file at its path is somebody else's. */
  release(): Promise<void>;
}

/**
 * The lock if nobody has it, for as long as the caller likes. Who holds one for longer renews it.
 *
 * @param stale Milliseconds after which a lock that nobody renewed is abandoned.
 * @param former One that the caller had and gave up; its file may have been moved here with its directory.
 */
export async function tryLock(
  disk: Disk,
  path: string,
  stale: number = LOCK_STALE,
  former?: Lock,
): Promise<Lock | undefined> {
  const holder = JSON.stringify({ ...thisProcess(), token: randomHex() + randomHex() });
  const isOurs = () => look(path, stale)?.content === holder;
  const found = look(path, stale);
  if (found?.isAbandoned || (found && found.content === former?.content))
    await takeAway(disk, path, found.content, stale);
  else if (found !== undefined) return undefined;
  if (!(await disk.create(path, holder, SECRET_MODE, false))) return undefined;
  return {
    content: holder,
    renew: async () => isOurs() && disk.touch(path),
    release: async () => {
      if (isOurs()) await disk.remove(path);
    },
  };
}

interface Found {
  content: string;
  isAbandoned: boolean;
}

function look(path: string, stale: number): Found | undefined {
  try {
    const content = readFileSync(path, "utf8");
    const { mtimeMs } = statSync(path);
    return { content, isAbandoned: isGone(content) || Date.now() - mtimeMs > stale };
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === "ENOENT") return undefined;
    // Windows says so of a file that is being removed at this moment.
    if (["EPERM", "EACCES", "EBUSY"].includes(code ?? "")) return { content: "", isAbandoned: false };
    throw thrown;
  }
}

/** Whether the process named in a lock has ended. Of other hosts (a shared home) only age can tell. */
function isGone(content: string): boolean {
  return hasEnded(parseJson(content));
}

/** Who holds something: the process, by its id and its machine. */
export function thisProcess(): { pid: number; host: string } {
  return { pid: process.pid, host: hostname() };
}

/** Whether a holder, as `thisProcess` named it, has ended on this very machine. */
export function hasEnded(holder: unknown): boolean {
  if (!isObject(holder) || typeof holder.pid !== "number" || holder.host !== hostname()) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (thrown) {
    return systemCode(thrown) === "ESRCH";
  }
}

/**
 * Removes an abandoned lock. A guard named after that very lock lets one waiter do it: a second one, slower, would find
 * the lock of somebody who came in meanwhile. A guard whose own process ended in between is removed after a while.
 */
async function takeAway(disk: Disk, path: string, content: string, stale: number): Promise<void> {
  const { createHash } = await import("node:crypto");
  const guard = `${path}.${createHash("sha256").update(content).digest("hex").slice(0, 12)}.tmp`;
  if (await disk.create(guard, "", SECRET_MODE, false)) {
    if (look(path, stale)?.content === content) await disk.remove(path);
    await disk.remove(guard);
  } else {
    if (await disk.isOlderThan(guard, LOCK_GUARD_STALE)) await disk.remove(guard);
    await pause(LOCK_PAUSE);
  }
}

function lockedError(path: string, wait: number): AmpError {
  return new AmpError("locked", {
    message: `Another process has held ${path} for more than ${wait / 1000} s.`,
    notDone: "nothing was changed.",
    next: "Call again in a moment. If no other amp-mcp is running, remove that file.",
    mender: "time",
  });
}
