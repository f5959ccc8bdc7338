import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Agent } from "../agent/agent.ts";
import { VERSION } from "../version.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { TOOLS } from "./tools/index.ts";

/** The MCP server of one agent; the same for hosts of the 2025 and of the 2026-07-28 protocol. */
function createServer(agent: Agent): McpServer {
  const server = new McpServer(
    { name: "amp-mcp", title: "AMP agent mail", version: VERSION },
    { instructions: INSTRUCTIONS, capabilities: { logging: {} } },
  );
  for (const tool of TOOLS) tool.register(server, agent);
  registerResources(server, agent);
  registerPrompts(server);
  return server;
}

/** Signals by which hosts end a server; each may come several times, before and after the end of stdin. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Serves on stdin and stdout until the host ends it: by end of stdin or a signal. Resolves once the connection is
 * closed; the caller closes the agent and ends the process.
 */
export async function serve(agent: Agent): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    // These stay attached: a second signal must not kill the process while it is closing.
    for (const signal of STOP_SIGNALS) process.on(signal, resolve);
    process.stdin.once("end", resolve).once("close", resolve).once("error", resolve);
    process.stdout.once("error", resolve);
  });
  // Each answer that waits for a slow host listens for its turn; that is no leak to warn of.
  process.stdout.setMaxListeners(0);
  const connection = serveStdio(() => createServer(agent));
  agent.arrivals.start();
  await ended;
  await connection.close();
}
