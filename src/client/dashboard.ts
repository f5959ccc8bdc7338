import { dashboardListSchema, dashboardMessageSchema } from "../wire/api.ts";
import { DASHBOARD_PAGE } from "../wire/limits.ts";
import { type Message, readMessage } from "../wire/message.ts";
import { parseAnswer } from "./answer.ts";
import type { Http } from "./http.ts";

/**
 * One agent's inbox in the dashboard of a current AI Maestro, which is how mail can be had from one on another machine:
 * it keeps nothing in the queue. It asks for no key, tells no signature and no thread, and of the sender the bare name.
 */
export class Dashboard {
  readonly #http: Http;
  readonly #url: URL;
  readonly #agentId: string;

  /** @param provider Any URL of the AI Maestro. */
  constructor(http: Http, provider: string, agentId: string) {
    this.#http = http;
    this.#url = new URL("/api/messages", provider);
    this.#agentId = agentId;
  }

  /** Origin of the AI Maestro. */
  get origin(): string {
    return this.#url.origin;
  }

  /** Ids of unread messages, as the provider gave them to the senders. */
  async unread(signal?: AbortSignal): Promise<string[]> {
    const query = { box: "inbox", status: "unread", limit: String(DASHBOARD_PAGE) };
    const answer = await this.#request("GET", query, signal);
    const { messages } = parseAnswer(dashboardListSchema, answer, "list");
    return messages.slice(0, DASHBOARD_PAGE).flatMap(({ id }) => idAsSent(id));
  }

  /** One message; `undefined` where it is gone or no message. */
  async message(id: string, signal?: AbortSignal): Promise<Message | undefined> {
    const answer = await this.#request("GET", { box: "inbox", id }, signal);
    if (answer.status === 404) return undefined;
    const { from, to, subject, priority, timestamp, content } = parseAnswer(dashboardMessageSchema, answer, "list");
    return readMessage({ envelope: { id, from, to, subject, priority, timestamp, signature: null }, payload: content });
  }

  /** Marks a message read, so that it is not listed again. */
  async markRead(id: string, signal?: AbortSignal): Promise<void> {
    const answer = await this.#request("PATCH", { id, action: "read" }, signal);
    if (answer.status !== 404) parseAnswer(dashboardMessageSchema.partial(), answer, "acknowledge");
  }

  #request(method: "GET" | "PATCH", query: Record<string, string>, signal: AbortSignal | undefined) {
    const url = new URL(this.#url);
    url.search = new URLSearchParams({ agent: this.#agentId, ...query }).toString();
    return this.#http.request({ method, url, signal });
  }
}

/** It writes `-` where the id has `_`, and understands both. */
function idAsSent(id: string): string[] {
  const [, time, rest] = /^msg[-_](\d+)[-_]([0-9a-z]+)$/.exec(id) ?? [];
  return time === undefined ? [] : [`msg_${time}_${rest}`];
}
