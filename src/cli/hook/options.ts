import { parseArgs } from "node:util";
import type { Flags } from "../../agent/settings.ts";
import { HOOK_HOSTS, type HookHost } from "./hosts.ts";

export interface HookOptions extends Flags {
  host: HookHost;
  /** Ask the provider first. */
  fetch: boolean;
}

/** `undefined` for wrong usage. Not by the command line's own parser, which takes longer to load than a hook has. */
export function readOptions(args: readonly string[]): HookOptions | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        host: { type: "string" },
        fetch: { type: "boolean", default: false },
        dashboard: { type: "boolean" },
        agent: { type: "string", short: "a" },
        directory: { type: "string", short: "d" },
        provider: { type: "string" },
      },
    });
    const host = HOOK_HOSTS.find((known) => known === values.host);
    return host && { ...values, host };
  } catch {
    return undefined;
  }
}
