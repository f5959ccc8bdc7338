import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listAgents, resolveAgent } from "./maestro/agents.ts";
import { acknowledgeMany, acknowledgeOne, listPending } from "./maestro/pending.ts";
import { ADVERTISED, register } from "./maestro/register.ts";
import { route } from "./maestro/route.ts";
import {
  failure,
  isObject,
  type MaestroState,
  type MaestroVersion,
  provider,
  type QueuedMessage,
  type Received,
  type RegisteredAgent,
  type Reply,
  textOf,
} from "./maestro/state.ts";

export interface MaestroOptions {
  version: MaestroVersion;
  /** The HOME of the provider's process: HEAD writes its agents' directories and their mail there. */
  home: string;
  /** `null` is a provider that was never set up, which registers nobody. Default `testorg`. */
  organization?: string | null;
  /** Messages a minute for one agent, HEAD only. Default 60, as the real one. */
  rateLimit?: number;
}

export interface Maestro {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** Every request so far, in order. */
  requests: readonly Received[];
  /** By agent id. */
  agents: ReadonlyMap<string, RegisteredAgent>;
  /** SEED's queues by directory name; what stands under no agent's id is lost. */
  relay: ReadonlyMap<string, readonly QueuedMessage[]>;
  close(): Promise<void>;
}

/**
 * AI Maestro as it answers on the wire, in two versions, made from recorded exchanges and measurements alone. It is
 * not a provider to use: it has their faults on purpose (a message that SEED queues under the full address is lost,
 * HEAD's queue stays empty). Left out: webhooks, WebSocket, key rotation, user keys, forwarding between hosts.
 */
export async function startMaestro(options: MaestroOptions): Promise<Maestro> {
  const state: MaestroState = {
    version: options.version,
    hostId: "vm",
    home: options.home,
    rateLimit: options.rateLimit ?? 60,
    organization: options.organization === undefined ? "testorg" : options.organization,
    agents: new Map(),
    apiKeys: new Map(),
    relay: new Map(),
    rates: new Map(),
  };
  const requests: Received[] = [];
  const server = createServer((incoming, outgoing) => {
    answer(state, requests, incoming, outgoing).catch((reason: unknown) => outgoing.destroy(toError(reason)));
  });
  server.keepAliveTimeout = 900_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    agents: state.agents,
    relay: state.relay,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(state: MaestroState, requests: Received[], incoming: IncomingMessage, outgoing: ServerResponse) {
  const text = await readText(incoming);
  const { method = "", url: path = "/", headers } = incoming;
  const parsed = parse(text);
  const request: Received = { method, path, headers, body: parsed.error === undefined ? parsed.value : text };
  requests.push(request);
  const reply = parsed.error === undefined ? dispatch(state, request) : badJson(state, request, parsed.error);
  const page = typeof reply.body === "string";
  outgoing.writeHead(reply.status, {
    ...(reply.body !== undefined && { "content-type": page ? "text/html; charset=utf-8" : "application/json" }),
    ...(state.version === "seed" && { vary: "RSC, Next-Router-State-Tree, Next-Router-Prefetch" }),
    ...reply.headers,
  });
  outgoing.end(page ? reply.body : reply.body && JSON.stringify(reply.body));
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): { value?: unknown; error?: string } {
  if (text === "") return { value: undefined };
  try {
    return { value: JSON.parse(text) };
  } catch (thrown) {
    return { error: toError(thrown).message };
  }
}

/** HEAD parses before it looks at anything, SEED within each handler. */
function badJson(state: MaestroState, request: Received, error: string): Reply {
  if (state.version === "head") return { status: 500, body: { error: "Internal server error" } };
  if (request.path.startsWith("/api/v1/messages/pending")) return dispatch(state, request);
  return failure(500, "internal_error", error);
}

function dispatch(state: MaestroState, request: Received): Reply {
  const { pathname, searchParams: query } = new URL(request.path, "http://host");
  const isHead = state.version === "head";
  switch (`${request.method} ${pathname}`) {
    case "GET /.well-known/agent-messaging.json":
      return isHead ? notFound(state) : wellKnown(state);
    case "GET /api/v1/info":
      return info(state);
    case "GET /api/v1/health":
      return health(state);
    case "POST /api/organization":
      return setOrganization(state, request);
    case "POST /api/v1/register":
      if (!isHead && request.body === undefined) return failure(500, "internal_error", "Unexpected end of JSON input");
      return register(state, request);
    case "POST /api/v1/route":
      return route(state, request);
    case "GET /api/v1/messages/pending":
      return listPending(state, request, query);
    case "DELETE /api/v1/messages/pending":
      return acknowledgeOne(state, request, query.get("id"));
    case "POST /api/v1/messages/pending":
      return acknowledgeMany(state, request);
    case "GET /api/v1/register":
      return isHead ? notFound(state) : { status: 405 };
    default:
      return isHead ? dispatchHeadOnly(state, request, pathname, query) : notFound(state);
  }
}

function dispatchHeadOnly(state: MaestroState, request: Received, pathname: string, query: URLSearchParams): Reply {
  const [, group, rest = ""] = /^\/api\/v1\/(messages\/pending|agents\/resolve)\/(.+)$/.exec(pathname) ?? [];
  const argument = decodeURIComponent(rest);
  if (request.method === "DELETE" && group === "messages/pending") return acknowledgeOne(state, request, argument);
  if (request.method === "GET" && group === "agents/resolve") return resolveAgent(state, request, argument);
  switch (`${request.method} ${pathname}`) {
    case "POST /api/v1/messages/pending/ack":
      return acknowledgeMany(state, request);
    case "GET /api/v1/messages":
      return listPending(state, request, query);
    case "GET /api/v1/agents":
      return listAgents(state, request, query);
    default:
      return notFound(state);
  }
}

const CAPABILITIES = ["registration", "local-delivery", "relay-queue", "mesh-routing"];

/** Names the host, not the organization: a tenant taken from here is refused. */
function wellKnown(state: MaestroState): Reply {
  return {
    status: 200,
    headers: { "cache-control": "public, max-age=3600" },
    body: {
      version: "AMP01.0",
      endpoint: ADVERTISED,
      provider: `${state.hostId}.${provider(state)}`,
      capabilities: CAPABILITIES,
    },
  };
}

function info(state: MaestroState): Reply {
  return {
    status: 200,
    headers: { "cache-control": "public, max-age=300" },
    body: {
      provider: provider(state),
      version: state.version === "head" ? "amp/0.1.3" : "amp/0.1.0",
      capabilities: CAPABILITIES,
      registration_modes: ["open"],
      rate_limits: { messages_per_minute: 60, api_requests_per_minute: 100 },
    },
  };
}

function health(state: MaestroState): Reply {
  return {
    status: 200,
    headers: { "cache-control": "no-cache, no-store, must-revalidate" },
    body: {
      status: "healthy",
      version: state.version === "head" ? "0.1.3" : "0.1.0",
      provider: provider(state),
      federation: false,
      agents_online: 0,
      uptime_seconds: 0,
    },
  };
}

/** The set-up page's call. */
function setOrganization(state: MaestroState, request: Received): Reply {
  const organization = isObject(request.body) ? textOf(request.body.organization) : undefined;
  if (organization === undefined) return failure(400, "invalid_field", "organization is required");
  state.organization = organization;
  const setAt = new Date().toISOString();
  return { status: 200, body: { success: true, organization, setAt, setBy: state.hostId } };
}

function notFound(state: MaestroState): Reply {
  if (state.version === "head") return { status: 404, body: { error: "Not found" } };
  const title = "404: This page could not be found.";
  return {
    status: 404,
    headers: { "x-powered-by": "Next.js", "cache-control": "no-store, must-revalidate" },
    body: `<!DOCTYPE html><html lang="en"><head><meta charSet="utf-8"/><title>${title}</title></head><body></body></html>`,
  };
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
