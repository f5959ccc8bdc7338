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

  async describe(agent: Agent): Promise<{ lines: string[]; facts: Record<string, unknown> }> {
    if ((await agent.address()) === undefined) return { lines: [], facts: {} };
    const receiving = receivingWords(agent);
    const { open, closed } = await this.#openAndClosed(agent);
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
    const { open, closed } = await this.#openAndClosed(agent);
    await server.sendLoggingMessage({
      level: "info",
      logger: "amp-mcp",
      data: `New mail is told by: ${open.join(", ")}.${closed.length > 0 ? ` Not by: ${closed.join("; ")}.` : ""}`,
    });
  }

  async #openAndClosed(agent: Agent): Promise<{ open: string[]; closed: string[] }> {
    const open = ["a line on tool results", "amp_wait"];
    const closed: string[] = [];
    const hooks = await agent.hooks();
    if (hooks.length > 0) {
      open.push(...hooks.map(([host, at]) => `hook (${oneWord(host, 20)}, last ${ago(Date.now() - at)})`));
    } else closed.push("hook (none has told yet; see the README)");
    if (this.#hasChannel) open.push("channel (if Claude Code was started for it)");
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
  if (receiving === undefined) return "starting";
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
