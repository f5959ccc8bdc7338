import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { onTestFinished } from "vitest";
import { Agent, type AgentOptions } from "../../src/agent/agent.ts";
import type { Draft } from "../../src/agent/compose.ts";
import { readSettings } from "../../src/agent/settings.ts";
import { AmpError } from "../../src/errors.ts";
import { isObject } from "../../src/wire/json.ts";
import { createHome } from "./home.ts";

/** The `.agent-messaging` of a HOME of this test alone, gone when it ends. */
export function scratchRoot(): string {
  const home = createHome();
  onTestFinished(() => home.remove());
  return home.at(".agent-messaging");
}

export interface TestAgentOptions extends Partial<AgentOptions> {
  root: string;
  provider?: string;
  agent?: string;
  /** Other variables of the environment. */
  env?: Record<string, string>;
}

/** An agent as a host or a shell would start it, in this process; closed when the test ends. */
export function startAgent({ root, provider, agent, env = {}, ...options }: TestAgentOptions): Agent {
  const settings = readSettings({ directory: root, provider, agent }, env);
  const started = new Agent({ settings, ...options });
  onTestFinished(() => started.close());
  return started;
}

/** An agent that is registered under `name` already. */
export async function registeredAgent(name: string, options: TestAgentOptions): Promise<Agent> {
  const agent = startAgent({ agent: name, ...options });
  await agent.register({ name });
  return agent;
}

export function draft(to: string, more: Partial<Draft> = {}): Draft {
  return { to, subject: "Hello", message: "Can you help me?", type: "request", priority: "normal", ...more };
}

/** The error of something that must fail as this package fails. */
export async function failure(asked: Promise<unknown>): Promise<AmpError> {
  const thrown: unknown = await asked.then(
    (value) => new Error(`did not fail: ${JSON.stringify(value)}`),
    (reason) => reason,
  );
  if (thrown instanceof AmpError) return thrown;
  throw thrown;
}

export function readJson(...parts: string[]): Record<string, unknown> {
  const value: unknown = JSON.parse(readFileSync(path.join(...parts), "utf8"));
  if (!isObject(value)) throw new Error(`${path.join(...parts)} holds no object`);
  return value;
}

/** Writes a file and the directories above it; what is no text is written as JSON. */
export function put(file: string, content: unknown, mode = 0o644): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content, null, 2), { mode });
  return file;
}

/** Every path below a directory, links not followed. */
export function tree(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .sort();
}

/** A message file as AI Maestro and the plugin write it. */
export function messageFile(id: string, more: Record<string, unknown> = {}, envelope: Record<string, unknown> = {}) {
  return {
    envelope: {
      version: "amp/0.1",
      id,
      from: "carol@testorg.aimaestro.local",
      to: "bob",
      subject: `Subject of ${id}`,
      priority: "normal",
      timestamp: "2030-01-01T00:00:00.000Z",
      signature: null,
      in_reply_to: null,
      ...envelope,
    },
    payload: { type: "request", message: `Text of ${id}`, context: null },
    metadata: { status: "unread", queued_at: "2030-01-01T00:00:00.000Z", delivery_attempts: 1 },
    local: { received_at: "2030-01-01T00:00:00.000Z", status: "unread", delivery_method: "local" },
    ...more,
  };
}
