import type { Act, FakeRequest } from "./fake-provider.ts";
import { FakeSockets } from "./fake-socket.ts";
import { item } from "./queue.ts";

/** What providers list in `/info`: the draft's three ways, and AI Maestro as it was recorded. */
export const LONG_POLLS = ["notify:v1", "notify:longpoll"];
export const COUNTS = ["notify:v1"];
export const SOCKETS = ["notify:v1", "websockets"];
export const MAESTRO = ["registration", "local-delivery", "relay-queue", "mesh-routing"];

export interface Ask {
  what: "info" | "count" | "pending" | "other";
  after: string | null;
  wait: string | null;
}

/** A provider's queue for one agent, with cursors, counting and holding; and what it does instead, where a test says so. */
export class NotifyQueue {
  /** What `/info` lists; `undefined` where there is no such page. */
  capabilities: unknown;
  /** Other members of `/info`. */
  info: Record<string, unknown> = {};
  instead: (ask: Ask) => Act | undefined = () => undefined;
  pageSize = 100;
  /** Every request in order: `info`, `count`, `pending after=… wait=…`. */
  readonly asked: string[] = [];
  /** Its WebSocket, which is there whatever it lists. */
  readonly sockets = new FakeSockets();
  #items: { position: number; item: unknown }[] = [];
  #position = 0;
  #epoch = 1;
  #holds: (() => void)[] = [];
  #watchers: { what: string; resolve: () => void }[] = [];

  constructor(capabilities: unknown) {
    this.capabilities = capabilities;
  }

  /** Messages of these ids, or items as they are. Requests that are held are answered. */
  put(...added: unknown[]): void {
    for (const one of added) {
      this.#position += 1;
      this.#items.push({ position: this.#position, item: typeof one === "string" ? item(one) : one });
    }
    this.release();
  }

  /** Answers the requests that are held, with whatever there is. */
  release(): void {
    for (const resolve of this.#holds.splice(0)) resolve();
  }

  /** Puts the items that are there into another order. */
  reverse(): void {
    this.#items.reverse();
  }

  /** The cursors that were given are worth nothing any more. */
  expireCursors(): void {
    this.#epoch += 1;
  }

  /** When the next request of that kind has come, or the next one that is held. */
  next(what: Ask["what"] | "held"): Promise<void> {
    return new Promise((resolve) => this.#watchers.push({ what, resolve }));
  }

  act(request: FakeRequest): Act {
    const { pathname, searchParams } = new URL(request.path, "http://x");
    const what = WHATS[pathname] ?? "other";
    const ask = { what, after: searchParams.get("after"), wait: searchParams.get("wait") };
    const query = Object.entries({ after: ask.after, wait: ask.wait }).flatMap(([name, value]) =>
      value === null ? [] : [`${name}=${value}`],
    );
    this.asked.push([what, ...query].join(" "));
    const act = this.instead(ask) ?? this.#answer(ask, Number(searchParams.get("limit")));
    this.#notice(what);
    if (act.act === "held") this.#notice("held");
    return act;
  }

  #notice(what: string): void {
    const noticed = this.#watchers.filter((watcher) => watcher.what === what);
    this.#watchers = this.#watchers.filter((watcher) => watcher.what !== what);
    for (const { resolve } of noticed) resolve();
  }

  #answer(ask: Ask, limit: number): Act {
    if (ask.what === "other" || (ask.what === "info" && this.capabilities === undefined)) return json(404, "<html>");
    if (ask.what === "info") return json(200, { provider: "x", ...this.info, capabilities: this.capabilities });
    if (ask.what === "count") return json(200, { count: this.#items.length, cursor: this.#cursor(this.#position) });
    const after = this.#after(ask.after);
    if (after === undefined) return json(410, { error: "cursor_expired" });
    if (ask.wait === null || this.#items.some(({ position }) => position > after)) return this.#page(after, limit);
    const changed = new Promise<void>((resolve) => this.#holds.push(resolve));
    return { act: "held", until: changed.then(() => this.#answer({ ...ask, wait: null }, limit)) };
  }

  #page(after: number, limit: number): Act {
    const due = this.#items.filter(({ position }) => position > after);
    const page = due.slice(0, Math.min(limit, this.pageSize));
    return json(200, {
      messages: page.map(({ item }) => item),
      count: page.length,
      remaining: due.length - page.length,
      ...(this.#hasCursors && { next_cursor: this.#cursor(Math.max(after, ...page.map(({ position }) => position))) }),
    });
  }

  get #hasCursors(): boolean {
    return Array.isArray(this.capabilities) && this.capabilities.includes("notify:v1");
  }

  #cursor(position: number): string {
    return `${this.#epoch}.${position}`;
  }

  #after(cursor: string | null): number | undefined {
    if (cursor === null) return 0;
    const [epoch, position] = cursor.split(".").map(Number);
    return epoch === this.#epoch ? position : undefined;
  }
}

const WHATS: Record<string, Ask["what"]> = {
  "/api/v1/info": "info",
  "/api/v1/messages/pending/count": "count",
  "/api/v1/messages/pending": "pending",
};

export function json(status: number, body: unknown): Act {
  return { act: "answer", status, body };
}
