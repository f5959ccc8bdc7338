import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { AmpError, systemCode } from "../errors.ts";
import { isObject, parseJson } from "../wire/json.ts";
import { LOCK_PAUSE, LOCK_STALE, LOCK_WAIT } from "../wire/limits.ts";
import { type Disk, SECRET_MODE } from "./disk.ts";

/**
 * Runs `work` while this process holds the lock file at `path`. The ecosystem's scripts take no locks; this one
 * orders our own processes. A lock whose process is gone, or which is older than any work takes, is taken over:
 * renamed away first, which only one of several waiters can do, and put back if it turns out to be a new one.
 */
export async function withLock<T>(disk: Disk, path: string, work: () => Promise<T>): Promise<T> {
  const holder = JSON.stringify({ pid: process.pid, host: hostname(), token: randomBytes(8).toString("hex") });
  const until = Date.now() + LOCK_WAIT;
  for (;;) {
    const found = await look(path);
    if (found === undefined && (await disk.create(path, holder, SECRET_MODE, false))) break;
    if (found?.isAbandoned) await takeAway(path, found.content);
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

async function takeAway(path: string, content: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await fs.rename(path, aside);
    if ((await fs.readFile(aside, "utf8")) !== content) await fs.link(aside, path).catch(() => {});
    await fs.rm(aside, { force: true });
  } catch (thrown) {
    if (systemCode(thrown) !== "ENOENT") throw thrown;
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
