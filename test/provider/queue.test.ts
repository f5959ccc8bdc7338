import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import { canonicalJson } from "../../src/wire/canonical.ts";
import { verifies } from "../../src/wire/signature.ts";
import * as api from "../support/provider.ts";

const DAY = 24 * 60 * 60 * 1000;
const START = Date.UTC(2030, 0, 1);

let dataDirectory: string;
let time: number;
let provider: Provider;
let alice: api.TestAgent;
let bob: api.TestAgent;

beforeEach(async () => {
  dataDirectory = api.scratchDirectory();
  time = START;
  provider = await start();
  alice = await api.registerAgent(provider.url, "alice");
  bob = await api.registerAgent(provider.url, "bob");
});

async function start(): Promise<Provider> {
  const started = await startProvider({ dataDirectory, now: () => time, ratePerMinute: 0 });
  onTestFinished(() => started.close());
  return started;
}

async function subjects(url: string, agent: api.TestAgent, query = "?limit=100"): Promise<unknown[]> {
  return (await api.pending(url, agent, query)).body.messages.map(({ envelope }) => envelope.subject);
}

describe("a waiting message", () => {
  it("is the same at every look until it is acknowledged", async () => {
    await api.send(provider.url, alice, api.message("bob"));
    const first = await api.pending(provider.url, bob);
    const second = await api.pending(provider.url, bob);
    expect(second.body).toEqual(first.body);
    expect(first.body.count).toBe(1);
  });

  it("has the envelope of AI Maestro's relay, made by the provider", async () => {
    const sent = await api.send(provider.url, alice, {
      ...api.message("BOB@local"),
      id: "msg_1_mine",
      from: "mallory@local.aimaestro.local",
      thread_id: "mine",
      reply_to: "mallory@local.aimaestro.local",
      expires_at: "2031-01-01T00:00:00Z",
    });
    const { id } = sent.body;
    expect(id).toMatch(/^msg_\d{13}_[0-9a-z]{7}$/);
    const timestamp = new Date(START).toISOString();
    expect((await api.pending(provider.url, bob)).body.messages).toEqual([
      {
        id,
        envelope: {
          version: "amp/0.1",
          id,
          from: "alice@local.aimaestro.local",
          to: "BOB@local",
          subject: "Hello",
          priority: "normal",
          timestamp,
          signature: "",
          thread_id: id,
          reply_to: "alice@local.aimaestro.local",
          expires_at: "2031-01-01T00:00:00Z",
        },
        payload: { type: "request", message: "Can you help me?" },
        sender_public_key: Buffer.from(alice.keys.publicKey).toString("hex"),
        queued_at: timestamp,
        expires_at: new Date(START + 7 * DAY).toISOString(),
        delivery_attempts: 0,
      },
    ]);
  });

  it("carries the payload in the order of keys it came in, and a signature that still verifies", async () => {
    const payload = { type: "request", zeta: { b: [1, { y: null, x: "é" }], a: 0.5 }, message: "✓", alpha: true };
    const body = await api.signed(alice, { to: "bob", subject: "a|b", payload, in_reply_to: "msg_1_parent" });
    expect((await api.send(provider.url, alice, body)).status).toBe(200);
    const [item] = (await api.pending(provider.url, bob)).body.messages;
    expect(JSON.stringify(item?.payload)).toBe(JSON.stringify(payload));
    expect(item?.envelope).toMatchObject({ in_reply_to: "msg_1_parent", thread_id: "msg_1_parent" });
    const fields = { from: alice.address, to: "bob", subject: "a|b", inReplyTo: "msg_1_parent" };
    const json = canonicalJson(item?.payload);
    expect(verifies(fields, json, String(item?.envelope.signature), alice.keys.publicKey)).toBe(true);
  });

  it("keeps a member called __proto__, which is data here", async () => {
    const payload = '{"type":"request","message":"x","__proto__":{"a":1}}';
    await api.send(provider.url, alice, `{"to":"bob","subject":"s","payload":${payload}}`);
    const [item] = (await api.pending(provider.url, bob)).body.messages;
    expect(JSON.stringify(item?.payload)).toBe(payload);
  });

  it("is seen and acknowledged by its recipient only", async () => {
    const { id } = (await api.send(provider.url, alice, api.message("bob"))).body;
    const stolen = await api.call(provider.url, "DELETE", `/api/v1/messages/pending?id=${id}`, { key: alice.key });
    expect(stolen.status).toBe(404);
    expect((await api.pending(provider.url, alice)).body.count).toBe(0);
    expect((await api.pending(provider.url, bob)).body.count).toBe(1);
  });

  it("is acknowledged by its path too, once", async () => {
    const { id } = (await api.send(provider.url, alice, api.message("bob"))).body;
    const ack = () => api.call(provider.url, "DELETE", `/api/v1/messages/pending/${id}`, { key: bob.key });
    expect((await ack()).body).toEqual({ acknowledged: true });
    const again = await ack();
    expect([again.status, again.body.message]).toEqual([404, `Message ${id} not found in pending queue`]);
  });

  it("is gone from the list after seven days, and from the disk with the next message", async () => {
    await api.send(provider.url, alice, api.message("bob", "old"));
    time = START + 7 * DAY - 1;
    expect(await subjects(provider.url, bob)).toEqual(["old"]);
    time = START + 7 * DAY;
    expect((await api.pending(provider.url, bob)).body).toMatchObject({ messages: [], count: 0, remaining: 0 });
    const queue = path.join(dataDirectory, "queue", bob.id);
    expect(readdirSync(queue)).toHaveLength(1);
    await api.send(provider.url, alice, api.message("bob", "new"));
    expect(await subjects(provider.url, bob)).toEqual(["new"]);
    expect(readdirSync(queue)).toHaveLength(1);
  });
});

describe("the order of a queue", () => {
  it("is the order of the answers, across restarts, other processes and clocks that step back", async () => {
    await api.send(provider.url, alice, api.message("bob", "1"));
    await api.send(provider.url, alice, api.message("bob", "2"));
    await provider.close();
    time = START - DAY;
    const next = await start();
    const beside = await start();
    await api.send(next.url, alice, api.message("bob", "3"));
    await api.send(beside.url, alice, api.message("bob", "4"));
    await api.send(next.url, alice, api.message("bob", "5"));
    expect(await subjects(beside.url, bob)).toEqual(["1", "2", "3", "4", "5"]);
    expect(await subjects(next.url, bob)).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("holds for a first page, with how many remain", async () => {
    for (let number = 1; number <= 12; number++) {
      await api.send(provider.url, alice, api.message("bob", String(number)));
    }
    const page = await api.pending(provider.url, bob, "?limit=2");
    expect(page.body).toMatchObject({ count: 2, remaining: 10 });
    expect(page.body.messages.map(({ envelope }) => envelope.subject)).toEqual(["1", "2"]);
    for (const query of ["", "?limit=0", "?limit=abc", "?limit=-5", "?limit=", "?limit=NaN"]) {
      expect((await api.pending(provider.url, bob, query)).body, query).toMatchObject({ count: 10, remaining: 2 });
    }
    const alias = await api.call(provider.url, "GET", "/api/v1/messages?limit=5000", { key: bob.key });
    expect(alias.body).toMatchObject({ count: 12, remaining: 0 });
  });

  it("loses nothing of 30 messages sent at once, and gives each its own id", async () => {
    const numbers = Array.from({ length: 30 }, (_, index) => String(index));
    const sent = await Promise.all(numbers.map((n) => api.send(provider.url, alice, api.message("bob", n))));
    expect(new Set(sent.map(({ body }) => body.id)).size).toBe(30);
    expect((await subjects(provider.url, bob)).sort()).toEqual(numbers.sort());
  });

  it("is not upset by a broken file at its head", async () => {
    await api.send(provider.url, alice, api.message("bob", "whole"));
    const queue = path.join(dataDirectory, "queue", bob.id);
    writeFileSync(path.join(queue, `000000000000_msg_${START}_aaaaaaa.json`), '{"id":');
    writeFileSync(path.join(queue, "notes.txt"), "hello");
    expect(await subjects(provider.url, bob, "?limit=1")).toEqual(["whole"]);
  });
});

it("shows the first page of a thousand messages by reading only that page", async () => {
  const queue = path.join(dataDirectory, "queue", bob.id);
  await api.send(provider.url, alice, api.message("bob", "first"));
  for (let place = 2; place <= 1000; place++) {
    const file = `${String(place).padStart(12, "0")}_msg_${START}_${String(place).padStart(7, "0")}.json`;
    writeFileSync(path.join(queue, file), place > 10 ? "not even JSON" : "{}");
  }
  const page = await api.pending(provider.url, bob, "?limit=1");
  expect(page.body).toMatchObject({ count: 1, remaining: 999 });
});
