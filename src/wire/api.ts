import * as z from "zod";
import { parseAddress } from "./address.ts";
import { CURSOR_MAX_CHARS } from "./limits.ts";

/** What a provider says and is told: the guide's API reference, as two AI Maestros really answer it. */

/** Paths below the API's base, which is `<url>/api/v1` at AI Maestro and whatever discovery names elsewhere. */
export const API_BASE = "/api/v1";
export const WELL_KNOWN = "/.well-known/agent-messaging.json";
export const PATHS = {
  info: "/info",
  health: "/health",
  register: "/register",
  route: "/route",
  pending: "/messages/pending",
  count: "/messages/pending/count",
  resolve: "/agents/resolve",
} as const;

const line = z.string().optional().catch(undefined);

/** `/.well-known/agent-messaging.json`, and `/info`, which says the same in other words. */
export const discoverySchema = z.looseObject({
  endpoint: line,
  provider: line,
  version: line,
  capabilities: z.array(z.string()).catch([]),
  websocket: line,
  ws: line,
});
export type Discovery = z.infer<typeof discoverySchema>;

export interface RegisterRequest {
  tenant: string;
  /** Lower case. */
  name: string;
  /** SPKI PEM. */
  public_key: string;
  key_algorithm: "Ed25519";
  alias?: string;
  /** UUID. The current AI Maestro takes it, the first one ignores it. */
  agent_id?: string;
}

export const registeredSchema = z.looseObject({
  // Shown in the first line of every answer from then on; nothing but an address may get there.
  address: z.string().refine((text) => parseAddress(text)?.provider !== undefined),
  short_address: line,
  agent_id: line,
  tenant_id: line,
  tenant: line,
  api_key: z.string().min(8),
  provider: z.looseObject({ name: line, endpoint: line, route_url: line }).catch({}),
  fingerprint: line,
  registered_at: line,
});
export type Registered = z.infer<typeof registeredSchema>;

export const resolvedSchema = z.looseObject({ address: z.string(), public_key: z.string() });

export const routedSchema = z.looseObject({
  id: line,
  status: z.string(),
  method: line,
  delivered_at: line,
  queued_at: line,
  note: line,
  error: line,
});
export type Routed = z.infer<typeof routedSchema>;

/** Items are read one by one, so that a broken one does not hide the others. */
export const pendingSchema = z.looseObject({
  messages: z.array(z.unknown()),
  remaining: z.number().int().nonnegative().optional().catch(undefined),
  next_cursor: z.string().max(CURSOR_MAX_CHARS).optional().catch(undefined),
});

/** What is new, without messages (draft of the protocol, section 12.3). */
export const countSchema = z.looseObject({
  count: z.number().int().nonnegative(),
  oldest_queued_at: line.nullable(),
  cursor: z.string().min(1).max(CURSOR_MAX_CHARS),
});
export type Count = z.infer<typeof countSchema>;

export const acknowledgedSchema = z.looseObject({ acknowledged: z.union([z.boolean(), z.number()]).catch(false) });

/** `/api/messages` of AI Maestro's dashboard. */
export const dashboardListSchema = z.looseObject({ messages: z.array(z.looseObject({ id: z.string() })) });
export const dashboardMessageSchema = z.looseObject({
  from: z.string(),
  to: z.string().catch(""),
  subject: z.string().catch(""),
  priority: z.string().catch("normal"),
  timestamp: line,
  content: z.record(z.string(), z.unknown()).catch({}),
});

/** An error body of either AI Maestro. `suggestions` stand at the top in one, under `details` in the other. */
export const errorBodySchema = z.looseObject({
  error: line,
  message: line,
  field: line,
  suggestions: z.array(z.string()).optional().catch(undefined),
  details: z
    .looseObject({
      expected_tenant: line,
      suggestions: z.array(z.string()).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});
export type ErrorBody = z.infer<typeof errorBodySchema>;
