import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { canonicalJson } from "../../src/wire/canonical.ts";
import { generateKeyPair, type KeyPair, publicKeyToPem } from "../../src/wire/keys.ts";
import { sign } from "../../src/wire/signature.ts";

/** A directory of this test alone, gone when it ends. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), "amp-provider-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Waiting {
  id: string;
  envelope: Record<string, unknown>;
  payload: Record<string, unknown>;
  sender_public_key: string;
  queued_at: string;
  expires_at: string;
  delivery_attempts: number;
}

/** What tests look at in an answer. Which of it is there is what they test. */
export interface AnswerBody {
  [member: string]: unknown;
  id: string;
  api_key: string;
  address: string;
  agent_id: string;
  messages: Waiting[];
  next_cursor: string;
  cursor: string;
  details: { suggestions: string[] };
  provider: { endpoint: string };
}

export interface Answer {
  status: number;
  headers: Headers;
  body: AnswerBody;
}

export interface CallOptions {
  key?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** One request as any HTTP client makes it. A string is sent as it is, anything else as JSON. */
export async function call(
  url: string,
  method: string,
  path: string,
  { key, body, headers = {} }: CallOptions = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

export interface TestAgent {
  name: string;
  key: string;
  address: string;
  id: string;
  keys: KeyPair;
}

export async function registerAgent(
  url: string,
  name: string,
  options: { keys?: KeyPair; tenant?: string; more?: Record<string, unknown> } = {},
): Promise<TestAgent> {
  const keys = options.keys ?? (await generateKeyPair());
  const answer = await call(url, "POST", "/api/v1/register", { body: registration(name, keys, options) });
  if (answer.status !== 201) throw new Error(`registering ${name} gave ${JSON.stringify(answer.body)}`);
  return { name, keys, key: answer.body.api_key, address: answer.body.address, id: answer.body.agent_id };
}

export function registration(
  name: string,
  keys: KeyPair,
  { tenant = "local", more = {} }: { tenant?: string; more?: Record<string, unknown> } = {},
): Record<string, unknown> {
  return { tenant, name, public_key: publicKeyToPem(keys.publicKey), key_algorithm: "Ed25519", ...more };
}

export function message(to: string, subject = "Hello"): Record<string, unknown> {
  return { to, subject, payload: { type: "request", message: "Can you help me?" } };
}

/** The body of `/route`, signed by `agent`. */
export async function signed(
  agent: TestAgent,
  body: { to: string; subject: string; payload: Record<string, unknown>; priority?: string; in_reply_to?: string },
): Promise<Record<string, unknown>> {
  const { to, subject, priority, in_reply_to: inReplyTo, payload } = body;
  const fields = { from: agent.address, to, subject, priority, inReplyTo };
  return { ...body, signature: await sign(fields, canonicalJson(payload), agent.keys.privateKey) };
}

export function send(url: string, agent: TestAgent, body: unknown): Promise<Answer> {
  return call(url, "POST", "/api/v1/route", { key: agent.key, body });
}

export function pending(url: string, agent: TestAgent, query = ""): Promise<Answer> {
  return call(url, "GET", `/api/v1/messages/pending${query}`, { key: agent.key });
}
