import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

export interface Home {
  /** Absolute, empty at first, nobody else's. */
  path: string;
  /** The environment for a child process whose home this is. */
  env: Record<string, string>;
  /** A path below the home. */
  at(...parts: string[]): string;
  /** Removes it with all that is in it; a second call does nothing. */
  remove(): void;
}

/** What a program needs to run at all. Nothing else of the machine's environment reaches a child. */
const KEPT = ["PATH", "Path", "PATHEXT", "SystemRoot", "ComSpec", "TEMP", "TMP", "TMPDIR", "LANG"];

/**
 * A home directory of its own for one test, where all that belongs to a user lives below it. `extra` is added to the
 * environment last, `AMP_CONFIG_DIR` and the other variables of the ecosystem are set only by it.
 */
export function createHome(extra: Record<string, string> = {}): Home {
  const home = realpathSync(mkdtempSync(path.join(os.tmpdir(), "amp-mcp-test-")));
  const env: Record<string, string> = {};
  for (const name of KEPT) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  Object.assign(env, {
    HOME: home,
    USERPROFILE: home,
    XDG_CONFIG_HOME: path.join(home, ".config"),
    XDG_DATA_HOME: path.join(home, ".local", "share"),
    XDG_STATE_HOME: path.join(home, ".local", "state"),
    XDG_CACHE_HOME: path.join(home, ".cache"),
    APPDATA: path.join(home, "AppData", "Roaming"),
    LOCALAPPDATA: path.join(home, "AppData", "Local"),
    ...extra,
  });
  return {
    path: home,
    env,
    at: (...parts) => path.join(home, ...parts),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}
