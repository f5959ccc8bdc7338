import type { Flags } from "../../agent/settings.ts";
import { serve } from "../../mcp/server.ts";
import { FLUSH_GRACE } from "../../wire/limits.ts";
import { flushed, type Output } from "../output.ts";
import { openAgent } from "../run.ts";

interface Options extends Flags {
  embedded?: boolean;
  channel?: boolean;
  channelTexts?: boolean;
  tenant: string;
  data?: string;
}

/** MCP on stdin and stdout, until the host ends it. */
export async function serveCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  const isEmbedded = options.embedded || ["1", "true"].includes(env.AMP_EMBEDDED ?? "");
  const embedded = isEmbedded ? lazyProvider(options) : undefined;
  const agent = openAgent(options, env, output, { revive: embedded?.revive });
  const { channel, channelTexts } = options;
  await serve(agent, { channel: channelTexts ? "texts" : channel ? "notice" : undefined });
  await Promise.all([flushed(FLUSH_GRACE), agent.close(), embedded?.close()]);
  return 0;
}

/** The provider's code is loaded when it is needed: hosts wait for a server to start. */
function lazyProvider(options: Options) {
  let provider: Promise<{ revive(url: URL): Promise<boolean>; close(): Promise<void> }> | undefined;
  const load = () => {
    provider ??= import("../embedded.ts").then(({ EmbeddedProvider }) => new EmbeddedProvider(options));
    return provider;
  };
  return {
    revive: async (url: URL) => (await load()).revive(url),
    close: async () => (await provider)?.close(),
  };
}
