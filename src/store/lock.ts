import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { AmpError, systemCode } from "../errors.ts";
import { isObject, parseJson } from "../wire/json.ts";
import { LOCK_GUARD_STALE, LOCK_PAUSE, LOCK_STALE, LOCK_WAIT } from "../wire/limits.ts";
import { type Disk, SECRET_MODE } from "./disk.ts";

/**
 * Runs `work` while this process holds the lock file at `path`. The ecosystem's scripts take no locks; this one
 * orders our own processes. A lock whose process is gone, or which is older than any work takes, is taken away.
 */
export async function withLock<T>(disk: Disk, path: string, work: () => Promise<T>): Promise<T> {
  const holder = JSON.stringify({ pid: process.pid, host: hostname(), token: randomBytes(8).toString("hex") });
  const until = Date.now() + LOCK_WAIT;
  for (;;) {
    const found = await look(path);
    if (found === undefined && (await disk.create(path, holder, SECRET_MODE, false))) break;
    if (found?.isAbandoned) await takeAway(disk, path, found.content);
    else if (Date.now() > until) throw lockedError(path);
    else if (found !== undefined) await pause(LOCK_PAUSE);
  }
  try {
    return await work();
  } finally {
    // Only our own: after a takeover the file at this path is somebody else's.
    if ((await look(path))?.content === holder) await disk.remove(path);
  }
}

interface Found {
  content: string;
  isAbandoned: boolean;
}

async function look(path: string): Promise<Found | undefined> {
  try {
    const content = await fs.readFile(path, "utf8");
    const { mtimeMs } = await fs.stat(path);
    return { content, isAbandoned: isGone(content) || Date.now() - mtimeMs > LOCK_STALE };
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

/** Whether the process named in a lock has ended. Of other hosts (a shared home) only age can tell. */
function isGone(content: string): boolean {
  const holder = parseJson(content);
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
async function takeAway(disk: Disk, path: string, content: string): Promise<void> {
  const guard = `${path}.${createHash("sha256").update(content).digest("hex").slice(0, 12)}.tmp`;
  if (await disk.create(guard, "", SECRET_MODE, false)) {
    if ((await look(path))?.content === content) await disk.remove(path);
    await disk.remove(guard);
  } else {
    if (await disk.isOlderThan(guard, LOCK_GUARD_STALE)) await disk.remove(guard);
    await pause(LOCK_PAUSE);
  }
}

function lockedError(path: string): AmpError {
  return new AmpError("locked", {
    message: `Another process has held ${path} for more than ${LOCK_WAIT / 1000} s.`,
    notDone: "nothing was changed.",
    next: "Call again in a moment. If no other amp-mcp is running, remove that file.",
    mender: "time",
  });
}
