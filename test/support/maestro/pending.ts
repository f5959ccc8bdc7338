import { authenticate, failure, isObject, type MaestroState, type Received, type Reply } from "./state.ts";

const BATCH_MAX = 100;

/** What waits for the caller, oldest id first. Nothing is removed. Always empty on HEAD, which delivers to its disk. */
export function listPending(state: MaestroState, request: Received, query: URLSearchParams): Reply {
  const agent = authenticate(state, request);
  if ("status" in agent) return agent;
  const queue = [...(state.relay.get(agent.id) ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
  const messages = page(state, queue, query.get("limit"));
  return {
    status: 200,
    headers: { "cache-control": "no-cache, no-store, must-revalidate" },
    body: { messages, count: messages.length, remaining: queue.length - messages.length },
  };
}

/** Both versions give 10 by default and 100 at most; SEED does not look at what it is asked for. */
function page<T>(state: MaestroState, queue: T[], limit: string | null): T[] {
  const asked = Number.parseInt(limit ?? "10", 10);
  if (state.version === "head") return queue.slice(0, asked > 0 ? Math.min(asked, 100) : 10);
  if (Number.isNaN(asked)) return queue;
  return queue.slice(0, Math.max(0, Math.min(asked, 100)));
}

export function acknowledgeOne(state: MaestroState, request: Received, id: string | null): Reply {
  const agent = authenticate(state, request);
  if ("status" in agent) return agent;
  if (id === null || id === "") {
    const ways = state.version === "head" ? "DELETE /pending/:id or DELETE /pending?id=<messageId>" : "?id=<messageId>";
    return failure(400, "missing_field", `Message ID required (use ${ways})`, { field: "id" });
  }
  if (remove(state, agent.id, [id]) === 1) return { status: 200, body: { acknowledged: true } };
  return failure(404, "not_found", `Message ${id} not found in pending queue`);
}

/** Unknown ids are passed over. */
export function acknowledgeMany(state: MaestroState, request: Received): Reply {
  const agent = authenticate(state, request);
  if ("status" in agent) return agent;
  if (typeof request.body === "string") return failure(400, "invalid_request", "Invalid JSON body");
  const ids = isObject(request.body) ? request.body.ids : undefined;
  if (!Array.isArray(ids) || ids.length === 0) {
    return failure(400, "missing_field", "ids array required", { field: "ids" });
  }
  if (ids.length > BATCH_MAX) return failure(400, "invalid_request", `Maximum ${BATCH_MAX} messages per batch`);
  return { status: 200, body: { acknowledged: remove(state, agent.id, ids) } };
}

function remove(state: MaestroState, agentId: string, ids: readonly unknown[]): number {
  const queue = state.relay.get(agentId) ?? [];
  const kept = queue.filter(({ id }) => !ids.includes(id));
  state.relay.set(agentId, kept);
  return queue.length - kept.length;
}
