import { McpServer } from "@modelcontextprotocol/server";
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Agent } from "../agent/agent.ts";
import { VERSION } from "../version.ts";
import { ARRIVALS_DELAY } from "../wire/limits.ts";
import { CHANNEL_CAPABILITY, Channel } from "./channel.ts";
import { CHANNEL_INSTRUCTIONS, INSTRUCTIONS } from "./instructions.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { Subscription } from "./subscription.ts";
import { TOOLS } from "./tools/index.ts";
import { Ways } from "./ways.ts";

export interface ServeOptions {
  /** Serve Claude Code's channel, and the 2025 protocol alone, which it needs; with texts, or only who wrote. */
  channel?: "notice" | "texts" | undefined;
}

/** The MCP server of one agent; the same for hosts of the 2025 and of the 2026-07-28 protocol. */
function createServer(agent: Agent, era: "legacy" | "modern", { channel }: ServeOptions): McpServer {
  const server = new McpServer(
    { name: "amp-mcp", title: "AMP agent mail", version: VERSION },
    {
      instructions: channel ? `${CHANNEL_INSTRUCTIONS}\n\n${INSTRUCTIONS}` : INSTRUCTIONS,
      capabilities: {
        logging: {},
        resources: { subscribe: true },
        ...(channel ? { experimental: { [CHANNEL_CAPABILITY]: {} } } : {}),
      },
    },
  );
  // A host is waiting for the first answer; a look at a large inbox can follow it.
  setTimeout(() => agent.arrivals.start(), ARRIVALS_DELAY).unref();
  const subscription = new Subscription(server, agent, era);
  const ways = new Ways(era, subscription, channel !== undefined);
  for (const tool of TOOLS) tool.register(server, agent, ways);
  registerResources(server, agent);
  registerPrompts(server);
  const telling = channel && new Channel(server, agent, channel === "texts");
  server.server.oninitialized = () => {
    if (ways.hasChannel(server)) telling?.start();
    ways.log(server, agent).catch((thrown: unknown) => agent.log(thrown));
  };
  server.server.onclose = () => {
    subscription.close();
    telling?.close();
  };
  return server;
}

/** Signals by which hosts end a server; each may come several times, before and after the end of stdin. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Serves on stdin and stdout until the host ends it: by end of stdin or a signal. Resolves once the connection is
 * closed; the caller closes the agent and ends the process.
 */
export async function serve(agent: Agent, options: ServeOptions = {}): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    // These stay attached: a second signal must not kill the process while it is closing.
    for (const signal of STOP_SIGNALS) process.on(signal, resolve);
    process.stdin.once("end", resolve).once("close", resolve).once("error", resolve);
    process.stdout.once("error", resolve);
  });
  // Each answer that waits for a slow host listens for its turn; that is no leak to warn of.
  process.stdout.setMaxListeners(0);
  const connection = await connect(agent, options);
  await ended;
  await connection.close();
}

/** A channel is served to connections of the 2025 protocol only: `server/discover` has to be unknown to them. */
async function connect(agent: Agent, options: ServeOptions): Promise<{ close(): Promise<void> }> {
  if (options.channel === undefined) return serveStdio(({ era }) => createServer(agent, era, options));
  const server = createServer(agent, "legacy", options);
  await server.connect(new StdioServerTransport());
  return server;
}
