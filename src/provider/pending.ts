import { HOLD_MAX, PENDING_DEFAULT, PENDING_PAGE } from "../wire/limits.ts";
import type { Holds } from "./holds.ts";
import type { Page, Queue } from "./queue.ts";

/** The query of `GET /messages/pending`. As at AI Maestro, nonsense counts as not given. */
export interface PendingQuery {
  /** 1 to `PENDING_PAGE`. */
  limit: number;
  /** A cursor of an earlier answer. */
  after: string | undefined;
  /** Milliseconds to wait for a first message. */
  wait: number;
}

export function readPendingQuery(query: Record<string, string>): PendingQuery {
  const limit = Number.parseInt(query.limit ?? "", 10);
  const seconds = /^\d+(?:\.\d+)?$/.test(query.wait ?? "") ? Number(query.wait) : 0;
  return {
    limit: limit > 0 ? Math.min(limit, PENDING_PAGE) : PENDING_DEFAULT,
    after: query.after || undefined,
    wait: Math.min(seconds * 1000, HOLD_MAX),
  };
}

/**
 * Answers `GET /messages/pending`, at once or, where there is nothing and the client is willing to wait, as soon as
 * there is something (protocol, section 12). Waiting consumes nothing: what is answered stays in the queue. `now` in
 * milliseconds; `gone` is aborted when the client has hung up.
 */
export async function listPending(
  queue: Queue,
  holds: Holds,
  agentId: string,
  { limit, after, wait }: PendingQuery,
  now: () => number,
  gone: AbortSignal,
): Promise<Page> {
  if (wait === 0) return queue.page(agentId, limit, now(), after);
  // Opened before the first look, so that what is queued meanwhile rings it.
  const hold = holds.open(agentId, wait, gone);
  try {
    let page = await queue.page(agentId, limit, now(), after);
    while (page.count === 0 && (await hold.change())) {
      page = await queue.page(agentId, limit, now(), page.next_cursor);
    }
    return page;
  } finally {
    hold.end();
  }
}
