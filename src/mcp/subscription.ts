import { type McpServer, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import type { Agent } from "../agent/agent.ts";
import { UPDATE_PAUSE } from "../wire/limits.ts";
import { oneWord } from "../wire/untrusted.ts";

const INBOX = "amp://inbox";

/**
 * `notifications/resources/updated` for the inbox, to a host that asked for it. It is about the resource: every host that
 * subscribed gets it, whoever was told about the messages. After the first one it speaks only so often.
 */
export class Subscription {
  readonly #server: McpServer;
  readonly #agent: Agent;
  readonly #isModern: boolean;
  readonly #uris = new Set<string>();
  readonly #ignore: () => void;
  #pausing: NodeJS.Timeout | undefined;
  #isDue = false;

  constructor(server: McpServer, agent: Agent, era: "legacy" | "modern") {
    this.#server = server;
    this.#agent = agent;
    this.#isModern = era === "modern";
    this.#ignore = agent.arrivals.onChange(() => this.#changed());
    // In the 2026-07-28 protocol `subscriptions/listen` takes their place, which the SDK serves.
    if (this.#isModern) return;
    server.server.setRequestHandler("resources/subscribe", ({ params }) => {
      if (params.uri !== INBOX) throw notSubscribable(params.uri);
      this.#uris.add(params.uri);
      return {};
    });
    server.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
      this.#uris.delete(params.uri);
      return {};
    });
  }

  /** Whether the host wants to know; in the 2026-07-28 protocol only the SDK can say. */
  get isAsked(): boolean | undefined {
    return this.#isModern ? undefined : this.#uris.has(INBOX);
  }

  close(): void {
    this.#ignore();
    clearTimeout(this.#pausing);
  }

  #changed(): void {
    if (this.isAsked === false) return;
    this.#isDue = true;
    if (this.#pausing === undefined) this.#tell();
  }

  #tell(): void {
    this.#pausing = undefined;
    if (!this.#isDue) return;
    this.#isDue = false;
    this.#server.server.sendResourceUpdated({ uri: INBOX }).catch((thrown: unknown) => this.#agent.log(thrown));
    this.#pausing = setTimeout(() => this.#tell(), UPDATE_PAUSE).unref();
  }
}

function notSubscribable(uri: string): ProtocolError {
  const message = `Only ${INBOX} can be subscribed to, not ${oneWord(uri, 200)}.`;
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message);
}
