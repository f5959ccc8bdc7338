import type { KeyObject } from "node:crypto";

/** `seed` is AI Maestro 0.20.4 (Next), `head` is 0.36.36 (headless). */
export type MaestroVersion = "seed" | "head";

export interface RegisteredAgent {
  id: string;
  name: string;
  /** With the scope, where one was given. */
  address: string;
  shortAddress: string;
  alias: string;
  publicKey: KeyObject;
  /** SPKI, as it was registered. */
  publicKeyPem: string;
  /** 64 hex digits. */
  publicKeyHex: string;
  fingerprint: string;
}

/** One message in a relay queue, in the shape in which `pending` hands it out. */
export interface QueuedMessage {
  id: string;
  envelope: Record<string, unknown>;
  payload: Record<string, unknown>;
  sender_public_key: string;
  queued_at: string;
  expires_at: string;
  delivery_attempts: number;
}

export interface MaestroState {
  readonly version: MaestroVersion;
  /** The host's name in the mesh. */
  readonly hostId: string;
  /** The HOME of the provider's process. */
  readonly home: string;
  /** Messages a minute, HEAD only. */
  readonly rateLimit: number;
  organization: string | null;
  /** By agent id. */
  readonly agents: Map<string, RegisteredAgent>;
  /** API key to agent id. */
  readonly apiKeys: Map<string, string>;
  /** SEED's queues by the name of their directory: an agent id, or a name that no agent will ever poll. */
  readonly relay: Map<string, QueuedMessage[]>;
  /** By agent id: when the window began (ms), and how many requests it has seen. */
  readonly rates: Map<string, { began: number; count: number }>;
}

export interface Received {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string | string[] | undefined>;
  /** Parsed where it is JSON, else the text; `undefined` where there was none. */
  body: unknown;
}

export interface Reply {
  status: number;
  /** An object is sent as JSON, a string as an HTML page, nothing as nothing. */
  body?: Record<string, unknown> | string;
  headers?: Record<string, string>;
}

export function failure(status: number, error: string, message: string, more: Record<string, unknown> = {}): Reply {
  return { status, body: { error, message, ...more } };
}

export function provider(state: MaestroState): string {
  return `${state.organization ?? "default"}.aimaestro.local`;
}

export function agentNamed(state: MaestroState, name: string): RegisteredAgent | undefined {
  return [...state.agents.values()].find((agent) => agent.name === name);
}

/** The agent whose key the request carries, or the refusal. A raw key without `Bearer ` is taken, `bearer` is not. */
export function authenticate(state: MaestroState, { headers }: Received): RegisteredAgent | Reply {
  const header = headers.authorization;
  const found = typeof header === "string" ? /^(?:Bearer (.+)|(amp_.+))$/.exec(header) : null;
  if (found === null) return failure(401, "unauthorized", "Missing or invalid Authorization header");
  const agent = state.agents.get(state.apiKeys.get(found[1] ?? found[2] ?? "") ?? "");
  return agent ?? failure(401, "unauthorized", "Invalid or expired API key");
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
