import path from "node:path";
import { onTestFinished } from "vitest";
import * as z from "zod";
import { startProvider } from "../../src/provider/server.ts";
import { createHome, type Home } from "./home.ts";
import { connectClient, connectOldClient, type Person } from "./mcp-clients.ts";

/** What a model is told by one call of a tool. */
export interface Told {
  text: string;
  lines: string[];
  structured: Record<string, unknown> | undefined;
  isError: boolean;
}

/** An MCP client that is connected to a server of its own. */
export interface Assistant {
  call(tool: string, args?: Record<string, unknown>): Promise<Told>;
  /** The text of a resource. */
  resource(uri: string): Promise<string>;
  listResources(): Promise<unknown[]>;
  home: Home;
  stderr(): string;
  /** Closes the connection; the end of the test does it too. */
  close(): Promise<void>;
  /** `kill -9`, and the wait for its end. */
  kill(): Promise<void>;
}

/** `2026`: the 2026-07-28 protocol and the current client; `1.x`: `initialize`, and the client of the 1.x SDK. */
export type Line = "2026" | "1.x";

export interface AssistantOptions {
  /** Default: a new one, removed at the end of the test. */
  home?: Home;
  args?: readonly string[];
  env?: Record<string, string>;
  line?: Line;
  person?: Person;
}

const toldSchema = z.object({
  content: z.tuple([z.object({ type: z.literal("text"), text: z.string() })]),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  isError: z.boolean().optional(),
});
const contentsSchema = z.object({ contents: z.tuple([z.object({ text: z.string() })]) });

/** A home that is gone when the test ends. */
export function testHome(extra: Record<string, string> = {}): Home {
  const home = createHome(extra);
  onTestFinished(() => home.remove());
  return home;
}

export interface TestProvider {
  url: string;
  dataDirectory: string;
  /** Nobody answers at the URL from then on. */
  close(): Promise<void>;
}

/** The real provider on a free port, without a rate limit, until the test ends. */
export async function testProvider(): Promise<TestProvider> {
  const dataDirectory = path.join(testHome().path, "provider");
  const provider = await startProvider({ dataDirectory, ratePerMinute: 0 });
  onTestFinished(() => provider.close());
  return { url: provider.url, dataDirectory, close: () => provider.close() };
}

/** A server as a host starts it, and a client that speaks to it. `url` is where its configuration says the provider is. */
export async function startAssistant(url: string, options: AssistantOptions = {}): Promise<Assistant> {
  const home = options.home ?? testHome();
  const started = {
    env: { ...home.env, AMP_PROVIDER_URL: url, ...options.env },
    args: options.args ?? [],
    cwd: home.path,
    ...(options.person && { person: options.person }),
  };
  const connected = options.line === "1.x" ? await connectOldClient(started) : await connectClient(started);
  onTestFinished(() => connected.close());
  const { client } = connected;
  return {
    home,
    stderr: connected.stderr,
    close: connected.close,
    kill: connected.kill,
    async call(tool, args = {}) {
      const { content, structuredContent, isError } = toldSchema.parse(
        await client.callTool({ name: tool, arguments: args }),
      );
      const { text } = content[0];
      return { text, lines: text.split("\n"), structured: structuredContent, isError: isError ?? false };
    },
    async resource(uri) {
      return contentsSchema.parse(await client.readResource({ uri })).contents[0].text;
    },
    async listResources() {
      return (await client.listResources()).resources;
    },
  };
}

/** The same, registered under a name. */
export async function startRegistered(url: string, name: string, options: AssistantOptions = {}): Promise<Assistant> {
  const assistant = await startAssistant(url, options);
  const told = await assistant.call("amp_register", { name });
  if (told.isError) throw new Error(`registering ${name}: ${told.text}`);
  return assistant;
}

/** The id in the answer of `amp_send` or `amp_reply`. */
export function sentId(told: Told): string {
  const id = told.structured?.message_id;
  if (typeof id !== "string") throw new Error(`no message id in: ${told.text}`);
  return id;
}

/** Ids in a page of `amp_inbox`, in its order. */
export function listedIds(told: Told): string[] {
  return told.lines.flatMap((line) => (line.startsWith("msg_") ? [line.slice(0, line.indexOf(" "))] : []));
}
