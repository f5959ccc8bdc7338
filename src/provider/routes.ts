import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { API_BASE, PATHS, WELL_KNOWN } from "../wire/api.ts";
import { didKey } from "../wire/did.ts";
import { publicKeyToPem } from "../wire/keys.ts";
import { ACK_MAX } from "../wire/limits.ts";
import type { ApiKeys } from "./api-keys.ts";
import { readBody } from "./body.ts";
import type { Agent, Directory } from "./directory.ts";
import type { Holds } from "./holds.ts";
import { listPending, readPendingQuery } from "./pending.ts";
import type { Queue } from "./queue.ts";
import type { RateLimit } from "./rate.ts";
import { findRecipient, providerName } from "./recipient.ts";
import { missingField, Refusal } from "./refusal.ts";
import { readCandidate, register } from "./registration.ts";
import { send } from "./sending.ts";

export interface Services {
  directory: Directory;
  apiKeys: ApiKeys;
  queue: Queue;
  holds: Holds;
  rate: RateLimit;
  tenant: string;
  ratePerMinute: number;
  /** Milliseconds. */
  now: () => number;
  /** Told what went wrong where the client is only told that something did. */
  onError: (thrown: unknown) => void;
}

type Env = { Bindings: HttpBindings; Variables: { agent: Agent } };

const VERSION = "0.1.3";
const CAPABILITIES = ["registration", "local-delivery", "relay-queue", "notify:v1", "notify:longpoll"];
const FRESH = { "Cache-Control": "no-cache, no-store, must-revalidate" };

/** The guide's API reference, answering as AI Maestro 0.36 does. */
export function providerApp(services: Services): Hono<Env> {
  const app = new Hono<Env>();
  app.notFound((c) => c.json({ error: "Not found" }, 404));
  app.onError((thrown, c) => {
    if (thrown instanceof Refusal) return c.json(thrown.body(), thrown.status, thrown.parts.headers);
    services.onError(thrown);
    return c.json({ error: "internal_error", message: "Internal server error" }, 500);
  });
  app.use(refuseWebPages);
  app.get(WELL_KNOWN, (c) => {
    const provider = providerName(services.tenant);
    return c.json({ version: "AMP01.3", endpoint: endpoint(c), provider, capabilities: CAPABILITIES });
  });
  app.route(API_BASE, about(services));
  app.route(API_BASE, openDoor(services));
  app.route(API_BASE, mailbox(services));
  app.route(API_BASE, people(services));
  return app;
}

function about({ tenant, ratePerMinute, now }: Services): Hono<Env> {
  const provider = providerName(tenant);
  const startedAt = now();
  const api = new Hono<Env>();
  api.get(PATHS.info, (c) => {
    const limits = { messages_per_minute: ratePerMinute, api_requests_per_minute: 100 };
    const body = {
      provider,
      version: `amp/${VERSION}`,
      capabilities: CAPABILITIES,
      registration_modes: ["open"],
      rate_limits: ratePerMinute === 0 ? {} : limits,
    };
    return c.json(body, 200, { "Cache-Control": "public, max-age=300" });
  });
  api.get(PATHS.health, (c) => {
    const uptime_seconds = Math.floor((now() - startedAt) / 1000);
    const body = { status: "healthy", version: VERSION, provider, federation: false, agents_online: 0, uptime_seconds };
    return c.json(body, 200, FRESH);
  });
  return api;
}

function openDoor({ directory, apiKeys, tenant, now }: Services): Hono<Env> {
  const api = new Hono<Env>();
  api.post(PATHS.register, async (c) => {
    const candidacy = readCandidate(await readBody(c), c.req.header("Authorization"), tenant, now());
    return c.json(await register(directory, apiKeys, candidacy, tenant, endpoint(c)), 201, FRESH);
  });
  return api;
}

function mailbox({ directory, apiKeys, queue, holds, rate, tenant, now }: Services): Hono<Env> {
  const api = new Hono<Env>();
  const authenticated = authentication(apiKeys);

  api.post(PATHS.route, authenticated, async (c) => {
    const headers = rate.take(c.var.agent.agent_id, now());
    const sent = await send(directory, queue, c.var.agent, await readBody(c), tenant, now());
    return c.json(sent, 200, headers);
  });

  const list = async (c: Context<Env>) => {
    const query = readPendingQuery(c.req.query());
    const page = await listPending(queue, holds, c.var.agent.agent_id, query, now, c.req.raw.signal);
    return c.json(page, 200, FRESH);
  };
  api.get(PATHS.pending, authenticated, list);
  api.get("/messages", authenticated, list);
  api.get(PATHS.count, authenticated, async (c) => c.json(await queue.count(c.var.agent.agent_id, now()), 200, FRESH));

  const acknowledge = async (c: Context<Env>, id: string | undefined) => {
    if (!id)
      throw missingField("id", "Message ID required (use DELETE /pending/:id or DELETE /pending?id=<messageId>)");
    const removed = await queue.remove(c.var.agent.agent_id, [id], now());
    if (removed === 0) throw new Refusal(404, "not_found", `Message ${id} not found in pending queue`);
    return c.json({ acknowledged: true });
  };
  api.delete(PATHS.pending, authenticated, (c) => acknowledge(c, c.req.query("id")));
  api.delete(`${PATHS.pending}/:id`, authenticated, (c) => acknowledge(c, c.req.param("id")));

  const acknowledgeAll = async (c: Context<Env>) => {
    const { ids } = await readBody(c);
    if (!Array.isArray(ids) || ids.length === 0) throw missingField("ids", "ids array required");
    if (ids.length > ACK_MAX) throw new Refusal(400, "invalid_request", `Maximum ${ACK_MAX} messages per batch`);
    const texts = ids.filter((id) => typeof id === "string");
    return c.json({ acknowledged: await queue.remove(c.var.agent.agent_id, texts, now()) });
  };
  api.post(PATHS.pending, authenticated, acknowledgeAll);
  api.post(`${PATHS.pending}/ack`, authenticated, acknowledgeAll);
  return api;
}

function people({ directory, apiKeys, tenant }: Services): Hono<Env> {
  const api = new Hono<Env>();
  const authenticated = authentication(apiKeys);

  api.get("/agents", authenticated, async (c) => {
    const search = (c.req.query("search") ?? "").toLowerCase();
    const found = (await directory.list()).filter(({ name, alias }) =>
      [name, alias].some((text) => text.toLowerCase().includes(search)),
    );
    const agents = found.map(({ address, alias }) => ({ address, alias, online: false }));
    return c.json({ agents, total: agents.length });
  });
  api.get("/agents/me", authenticated, (c) => {
    const { short_address: address, alias, delivery, fingerprint, registered_at } = c.var.agent;
    return c.json({ address, alias, delivery, fingerprint, registered_at, last_seen_at: registered_at });
  });
  api.get("/agents/resolve/:address", authenticated, async (c) => {
    const asked = c.req.param("address");
    const agent = await findRecipient(directory, asked, tenant).catch((thrown: unknown) => {
      if (thrown instanceof Refusal) throw new Refusal(404, "not_found", `Agent not found: ${asked}`);
      throw thrown;
    });
    const { address, alias, fingerprint } = agent;
    const publicKey = Buffer.from(agent.public_key, "hex");
    const key = {
      public_key: publicKeyToPem(publicKey),
      key_algorithm: "Ed25519",
      fingerprint,
      did: didKey(publicKey),
    };
    return c.json({ address, alias, ...key, online: false });
  });
  return api;
}

/** The one way in. Headers that AI Maestro trusts from its own mesh (`X-Forwarded-From`) count for nothing here. */
function authentication(apiKeys: ApiKeys) {
  return createMiddleware<Env>(async (c, next) => {
    c.set("agent", await apiKeys.authenticate(c.req.header("Authorization")));
    await next();
  });
}

/**
 * Registering is open to whoever reaches this port, and a loopback port is reached by every web page that the user
 * visits. Browsers name the page in `Origin` on each request that could change something; no agent sends one.
 */
const refuseWebPages = createMiddleware<Env>(async (c, next) => {
  if (c.req.header("Origin") !== undefined) {
    throw new Refusal(403, "forbidden", "Requests from web pages are not accepted");
  }
  await next();
});

/** The API's base as this very client reached it: another address of this machine may not be listened on. */
function endpoint(c: Context<Env>): string {
  const { localAddress = "127.0.0.1", localPort = 0 } = c.env.incoming.socket;
  return `${httpUrl(localAddress, localPort)}${API_BASE}`;
}

export function httpUrl(address: string, port: number): string {
  const plain = address.replace(/^::ffff:/, "");
  return `http://${plain.includes(":") ? `[${plain}]` : plain}:${port}`;
}
