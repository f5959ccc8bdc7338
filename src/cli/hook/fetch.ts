import { Agent } from "../../agent/agent.ts";
import { readSettings } from "../../agent/settings.ts";
import { PROBE_DEADLINE } from "../../wire/limits.ts";
import { readOptions } from "./options.ts";

/** `hook --fetch`: first brings to disk what the provider's queue shows, if it answers soon. Never throws. */
export async function fetchFirst(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const options = readOptions(args);
  if (options?.fetch !== true) return;
  const agent = new Agent({ settings: readSettings(options, env) });
  const moment = new AbortController();
  const timer = setTimeout(() => moment.abort(), PROBE_DEADLINE);
  try {
    await agent.fetch(moment.signal);
  } catch (thrown) {
    agent.log(thrown);
  } finally {
    clearTimeout(timer);
    await agent.close();
  }
}
