import { PENDING_DEFAULT, PENDING_PAGE } from "../wire/limits.ts";

/** The query of `GET /messages/pending`. As at AI Maestro, nonsense counts as not given. */
export interface PendingQuery {
  /** 1 to `PENDING_PAGE`. */
  limit: number;
  /** A cursor of an earlier answer. */
  after: string | undefined;
}

export function readPendingQuery(query: Record<string, string>): PendingQuery {
  const limit = Number.parseInt(query.limit ?? "", 10);
  return {
    limit: limit > 0 ? Math.min(limit, PENDING_PAGE) : PENDING_DEFAULT,
    after: query.after || undefined,
  };
}
