import path from "node:path";
import { onTestFinished } from "vitest";
import type { Agent } from "../../src/agent/agent.ts";
import type { Waiting } from "../../src/agent/mailbox.ts";
import { messageFile, put, scratchRoot, startAgent, tree } from "./agent.ts";
import { type FakeProvider, type FakeRequest, startFakeProvider } from "./fake-provider.ts";

/** The id of bob. */
export const ID = "11111111-2222-4333-8444-555555555555";
const KEY = "amp_live_sk_0123";

interface Item {
  id: string;
  envelope: Record<string, unknown>;
  payload: Record<string, unknown>;
  expires_at?: string;
}

/** A provider's queue: what is in it, and what was acknowledged. */
interface Queue extends FakeProvider {
  items: Item[];
  acknowledged: string[];
  /** The API key that it takes. */
  key: string;
  /** It says that it took messages off, and does not. */
  keepsAll: boolean;
}

/** Starts a provider that knows one agent, and its queue. */
export async function startQueue(...items: Item[]): Promise<Queue> {
  const queue = { items, acknowledged: [] as string[], key: KEY, keepsAll: false };
  const act = (request: FakeRequest) => {
    if (request.headers.authorization !== `Bearer ${queue.key}`)
      return { act: "answer", status: 401, body: { error: "unauthorized" } } as const;
    const { searchParams } = new URL(request.path, "http://x");
    if (request.method === "DELETE") {
      const id = searchParams.get("id") ?? "";
      const isThere = queue.items.some((item) => item.id === id);
      queue.items = queue.items.filter((item) => item.id !== id);
      if (isThere) queue.acknowledged.push(id);
      const [status, body] = isThere ? [200, { acknowledged: true }] : [404, { error: "not_found" }];
      return { act: "answer", status, body } as const;
    }
    if (request.method === "POST") {
      const { ids }: { ids: string[] } = JSON.parse(request.body);
      const taken = queue.items.filter((item) => ids.includes(item.id)).map(({ id }) => id);
      if (!queue.keepsAll) queue.items = queue.items.filter(({ id }) => !taken.includes(id));
      queue.acknowledged.push(...taken);
      return { act: "answer", status: 200, body: { acknowledged: taken.length } } as const;
    }
    const messages = queue.items.slice(0, Number(searchParams.get("limit") ?? 10));
    const body = { messages, count: messages.length, remaining: queue.items.length - messages.length };
    return { act: "answer", status: 200, body } as const;
  };
  const fake = await startFakeProvider(act);
  onTestFinished(() => fake.close());
  return Object.assign(queue, fake);
}

export function item(id: string, envelope: Record<string, unknown> = {}, more: Partial<Item> = {}): Item {
  const file = messageFile(id, {}, { from: "alice@testorg.aimaestro.local", ...envelope });
  return { id, envelope: file.envelope, payload: file.payload, expires_at: "2099-01-01T00:00:00.000Z", ...more };
}

/** The directory of a registered bob, as the guide's script writes it, and his agent. */
export function bobAt(
  url: string,
  root = scratchRoot(),
): { root: string; directory: string; inbox: string; bob: Agent } {
  const directory = path.join(root, "agents", "bob");
  put(path.join(directory, "config.json"), {
    agent_name: "bob",
    agent_id: ID,
    address: "bob@testorg.aimaestro.local",
    provider: { name: "testorg.aimaestro.local", endpoint: `${url}/api/v1` },
  });
  put(path.join(directory, "api_key"), `${KEY}\n`);
  put(path.join(directory, "keys", "private.pem"), "not read here");
  return { root, directory, inbox: path.join(directory, "messages", "inbox"), bob: startAgent({ root }) };
}

export const idsOf = (waiting: Waiting) => waiting.messages.map(({ message }) => message.envelope.id);
export const jsonFiles = (directory: string) => tree(directory).filter((file) => file.endsWith(".json"));
