import { Client, type VersionNegotiationMode } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { EXECUTABLE } from "./host.ts";

export interface ClientOptions {
  args?: readonly string[];
  /** The whole environment of the server; that of a scratch home. */
  env: Record<string, string>;
  cwd?: string;
  /** What the person behind the client says when asked. Without it the client cannot ask. */
  person?: Person;
}

export interface Consent {
  action: "accept" | "decline" | "cancel";
  content?: { send: boolean };
}

export type Person = (question: string) => Consent;

export interface Connected<C> {
  client: C;
  /** Ends the server as this client does: closes its stdin, and waits. */
  close(): Promise<void>;
  /** All that the server wrote to stderr so far. */
  stderr(): string;
  /** `kill -9` for the server, and the wait for its end. */
  kill(): Promise<void>;
}

const INFO = { name: "amp-mcp-test", version: "1.0.0" };

/**
 * - `modern`: `server/discover`, nothing but the 2026-07-28 protocol.
 * - `auto`: as hosts of that protocol do, with the way back to `initialize`. It asks a process of its own first, so
 *   the executable is started twice.
 * - `legacy`: `initialize`, 2025-11-25.
 */
export type Era = "modern" | "auto" | "legacy";

const MODES: Record<Era, VersionNegotiationMode> = { modern: { pin: "2026-07-28" }, auto: "auto", legacy: "legacy" };

/** The MCP SDK's current client, connected to the built executable. */
export async function connectClient(options: ClientOptions, era: Era = "modern"): Promise<Connected<Client>> {
  const transport = new StdioClientTransport(parameters(options));
  const stderr = collect(transport.stderr);
  const { person } = options;
  const capabilities = person ? { capabilities: { elicitation: {} } } : {};
  const client = new Client(INFO, { versionNegotiation: { mode: MODES[era] }, ...capabilities });
  if (person) client.setRequestHandler("elicitation/create", async ({ params }) => ({ ...person(params.message) }));
  await client.connect(transport);
  return { client, close: () => client.close(), stderr, kill: () => kill(client, transport.pid) };
}

/** The 1.x SDK's client, on which most hosts of today are built, connected to the built executable. */
export async function connectOldClient(options: ClientOptions): Promise<Connected<OldClient>> {
  const transport = new OldTransport(parameters(options));
  const stderr = collect(transport.stderr);
  const { person } = options;
  const client = new OldClient(INFO, person ? { capabilities: { elicitation: {} } } : {});
  if (person) client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({ ...person(params.message) }));
  await client.connect(transport);
  return { client, close: () => client.close(), stderr, kill: () => kill(client, transport.pid) };
}

function kill(client: { onclose?: (() => void) | undefined }, pid: number | null): Promise<void> {
  return new Promise((resolve) => {
    client.onclose = resolve;
    if (pid !== null) process.kill(pid, "SIGKILL");
  });
}

function parameters({ args = [], env, cwd }: ClientOptions) {
  return {
    command: process.execPath,
    args: [EXECUTABLE, ...args],
    env,
    stderr: "pipe" as const,
    ...(cwd !== undefined && { cwd }),
  };
}

function collect(stream: NodeJS.EventEmitter | null): () => string {
  let text = "";
  stream?.on("data", (chunk: unknown) => {
    text += String(chunk);
  });
  return () => text;
}
