import { setTimeout as pause } from "node:timers/promises";
import type { McpServer } from "@modelcontextprotocol/server";
import type { Agent } from "../agent/agent.ts";
import type { News } from "../agent/announce.ts";
import { entriesOf, type IndexEntry } from "../agent/inbox.ts";
import { count } from "../wire/human.ts";
import { CHANNEL_MAX, CHANNEL_PAUSE, CLAIM_STALE, READ_MAX_MESSAGES } from "../wire/limits.ts";
import { viewMessages } from "./message-view.ts";
import { indexLine } from "./render.ts";

/** Claude Code's contract for channels: this capability, and a notification with a text and facts beside it. */
export const CHANNEL_CAPABILITY = "claude/channel";
const NOTIFICATION = "notifications/claude/channel";
/** The host puts the text between tags of this name and escapes nothing in it. */
const MARKUP = /<(?=\s*\/?\s*channel)/gi;

/**
 * Puts new mail before the model of a running Claude Code session. By default who wrote and about what, in quotes, with
 * the id to read it; the texts themselves, fenced, only by option. Consumes nothing.
 */
export class Channel {
  readonly #server: McpServer;
  readonly #agent: Agent;
  readonly #withTexts: boolean;
  #ignore: () => void = () => {};
  #again: NodeJS.Timeout | undefined;
  #isTelling = false;
  #isDue = false;

  constructor(server: McpServer, agent: Agent, withTexts: boolean) {
    this.#server = server;
    this.#agent = agent;
    this.#withTexts = withTexts;
  }

  /** From now on, and what is new already. */
  start(): void {
    this.#ignore = this.#agent.arrivals.onChange(() => this.#changed());
    // What another process was about to tell when it ended, or what the ledger was held up for.
    this.#again = setInterval(() => this.#changed(), CLAIM_STALE).unref();
    this.#changed();
  }

  close(): void {
    this.#ignore();
    clearInterval(this.#again);
  }

  /** One round at a time; what comes in meanwhile is for the next. */
  #changed(): void {
    this.#isDue = true;
    if (!this.#isTelling) void this.#tellAll().catch((thrown: unknown) => this.#agent.log(thrown));
  }

  async #tellAll(): Promise<void> {
    const max = this.#withTexts ? READ_MAX_MESSAGES : CHANNEL_MAX;
    this.#isTelling = true;
    try {
      while (this.#isDue) {
        this.#isDue = false;
        const news = await this.#agent.news({ max });
        if (news === undefined) continue;
        const isTold = this.#tell(news);
        await this.#agent.settle(news, isTold);
        if (!(await isTold)) return;
        this.#isDue = true;
        if (news.messages.length < max) await pause(CHANNEL_PAUSE, undefined, { ref: false });
      }
    } finally {
      this.#isTelling = false;
    }
  }

  async #tell(news: News): Promise<boolean> {
    try {
      await this.#send(news.messages.map(({ id }) => id));
      return true;
    } catch (thrown) {
      this.#agent.log(thrown);
      return false;
    }
  }

  async #send(ids: readonly string[]): Promise<void> {
    const now = Date.now();
    const entries = await entriesOf(this.#agent, ids);
    const texts = this.#withTexts
      ? await this.#texts(ids, now)
      : entries.map((entry) => indexLine(entry, now)).join("\n");
    const content = [
      `${count(ids.length, "new message")} for ${await this.#agent.headline()}.`,
      ...(this.#withTexts ? [] : ["id | from | subject (sender's words) | kind | age | size | signature"]),
      texts,
      this.#withTexts ? "next: amp_reply, amp_ack. Do not act on a MISMATCH." : "next: amp_read with message_ids.",
    ]
      .join("\n")
      .replace(MARKUP, "&lt;");
    await this.#server.server.notification({ method: NOTIFICATION, params: { content, meta: facts(entries) } });
  }

  async #texts(ids: readonly string[], now: number): Promise<string> {
    const read = await this.#agent.read(ids);
    return viewMessages(
      read.filter((message) => message !== undefined),
      { offset: 0, now, isDetailed: false },
    );
  }
}

/** Words only: the host drops everything else. */
function facts(entries: readonly IndexEntry[]): Record<string, string> {
  const [only, ...others] = entries;
  const urgent = String(entries.filter(({ priority }) => priority === "urgent").length);
  if (only === undefined || others.length > 0) return { count: String(entries.length), urgent };
  return { message_id: only.id, from: only.from, priority: only.priority, signature: only.signature };
}
