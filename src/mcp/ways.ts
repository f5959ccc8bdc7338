import type { McpServer } from "@modelcontextprotocol/server";
import type { Agent } from "../agent/agent.ts";
import { ago } from "../wire/human.ts";
import { redact } from "../wire/secrets.ts";
import { oneWord } from "../wire/untrusted.ts";
import type { Subscription } from "./subscription.ts";

/** By which ways the assistant of this connection learns of new mail, and why not by the others. */
export class Ways {
  readonly #era: "legacy" | "modern";
  readonly #subscription: Subscription;
  readonly #hasChannel: boolean;

  constructor(era: "legacy" | "modern", subscription: Subscription, hasChannel: boolean) {
    this.#era = era;
    this.#subscription = subscription;
    this.#hasChannel = hasChannel;
  }

  /** Other hosts drop a channel's notices without a word, and what was told by one would be told by nothing else. */
  hasChannel(server: McpServer): boolean {
    return this.#hasChannel && !OTHER_HOSTS.some((host) => nameOf(server).startsWith(host));
  }

  async describe(agent: Agent, server: McpServer): Promise<{ lines: string[]; facts: Record<string, unknown> }> {
    if ((await agent.address()) === undefined) return { lines: [], facts: {} };
    const receiving = receivingWords(agent);
    const { open, closed } = await this.#openAndClosed(agent, server);
    return {
      lines: [
        `receiving: ${receiving}`,
        `told of new mail by: ${open.join(", ")}`,
        ...(closed.length > 0 ? [`not by: ${closed.join("; ")}`] : []),
      ],
      facts: { receiving, told_by: open, not_told_by: closed },
    };
  }

  /** The same for the host's log. The 2026-07-28 protocol has none of its own any more. */
  async log(server: McpServer, agent: Agent): Promise<void> {
    const { open, closed } = await this.#openAndClosed(agent, server);
    await server.sendLoggingMessage({
      level: "info",
      logger: "amp-mcp",
      data: `New mail is told by: ${open.join(", ")}.${closed.length > 0 ? ` Not by: ${closed.join("; ")}.` : ""}`,
    });
  }

  async #openAndClosed(agent: Agent, server: McpServer): Promise<{ open: string[]; closed: string[] }> {
    const open = ["a line on tool results", "amp_wait"];
    const closed: string[] = [];
    const hooks = (await agent.hooks()).filter(([host]) => isHookOf(host, server));
    if (hooks.length > 0) {
      open.push(...hooks.map(([host, at]) => `hook (${oneWord(host, 20)}, last ${ago(Date.now() - at)})`));
    } else closed.push("hook (none has told yet; see the README)");
    if (this.hasChannel(server)) open.push("channel (if Claude Code was started for it)");
    else if (this.#hasChannel) closed.push("channel (this host knows none)");
    else closed.push(`channel (${this.#era === "modern" ? "needs the 2025 protocol and" : "needs"} --channel)`);
    const { isAsked } = this.#subscription;
    if (isAsked) open.push("updates of amp://inbox");
    else
      closed.push(
        `updates of amp://inbox (${isAsked === false ? "this host did not subscribe" : "if this host listens, no model sees them"})`,
      );
    return { open, closed };
  }
}

function receivingWords(agent: Agent): string {
  const { receiving } = agent.arrivals;
  if (receiving === undefined) {
    const { failure } = agent.arrivals;
    return failure ? `failing (${redact(failure.message)})` : "starting";
  }
  if (receiving.by === "elsewhere" && receiving.problem) {
    return `the disk alone, since this server cannot write there (${redact(receiving.problem.message)})`;
  }
  if (receiving.by === "elsewhere") return "by another process of this machine; this one watches the disk";
  const { way = "starting", problem, from } = receiving;
  if (problem) return `failing (${redact(problem.message)})`;
  if (agent.settings.dashboard) return `${way}, AI Maestro's dashboard (no signatures), and the disk`;
  const isFar = way === "poll" && from !== undefined && !isLoopback(new URL(from).hostname);
  return `${way}, and the disk${isFar ? ". A current AI Maestro on another machine does not hand out its mail: --dashboard" : ""}`;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

/** How hosts that know no channels call themselves, in the beginning of their names; the desktop application is one. */
const OTHER_HOSTS = [
  "claude-ai",
  "codex",
  "copilot",
  "gemini",
  "inspector",
  "mcp-cli",
  "mcpc",
  "mcporter",
  "opencode",
  "qwen",
];

function nameOf(server: McpServer): string {
  return server.server.getClientVersion()?.name ?? "";
}

/** Hosts whose names are known have a hook of their own; of others every hook may be theirs. */
function isHookOf(hook: string, server: McpServer): boolean {
  const known = ["claude", "codex", "gemini"].find((host) => nameOf(server).startsWith(host));
  return known === undefined || hook.startsWith(known);
}
