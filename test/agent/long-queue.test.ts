import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { messageFile, put, readJson, registeredAgent, scratchRoot, startAgent } from "../support/agent.ts";
import { bundleDriver, drive, embedded, expectReadable, untilFinished } from "../support/crash.ts";
import { createHome } from "../support/home.ts";
import { call, message, registerAgent, send } from "../support/provider.ts";
import { bobAt, idsOf, item, jsonFiles, startQueue } from "../support/queue.ts";

const many = (count: number) => Array.from({ length: count }, (_, i) => item(`msg_${1000 + i}_q`));

describe("more than a page at a provider that has no cursor", () => {
  it("comes into view to the last message, each once, on disk before it is taken off", async () => {
    const queue = await startQueue(...many(210));
    const { inbox, bob } = bobAt(queue.url);
    const waiting = await bob.waiting();
    expect(waiting).toMatchObject({ behind: 0, offline: undefined, unreadable: 0 });
    expect(idsOf(waiting).sort()).toEqual(many(210).map(({ id }) => id));
    expect(jsonFiles(inbox)).toHaveLength(210);
    expect([queue.acknowledged.length, queue.items.length]).toEqual([200, 10]);
    queue.items.push(item("msg_9999_new"));
    expect(idsOf(await bob.waiting())).toHaveLength(211);
  });

  it("what waits on disk alone is acknowledged without the provider, the rest at the provider, by any process", async () => {
    const queue = await startQueue(...many(130));
    const { root, bob } = bobAt(queue.url);
    await bob.waiting();
    const other = startAgent({ root });
    const [released, held] = ["msg_1000_q", "msg_1129_q"];
    expect(await other.acknowledge([released, held])).toMatchObject({
      acknowledged: [released, held],
      error: undefined,
    });
    expect(queue.acknowledged).toContain(held);
    expect(idsOf(await bob.waiting())).toHaveLength(128);
    expect((await bob.acknowledge("all")).acknowledged).toHaveLength(128);
    expect([queue.items, idsOf(await other.waiting())]).toEqual([[], []]);
  });

  it("when the provider refuses to let go, nothing is lost and nothing is asked for ever", async () => {
    const queue = await startQueue(...many(130));
    queue.keepsAll = true;
    const { bob } = bobAt(queue.url);
    const waiting = await bob.waiting();
    expect([idsOf(waiting).length, waiting.behind]).toEqual([100, 30]);
    expect(idsOf(await bob.waiting())).toHaveLength(100);
  });

  it("a message noted as taken off but still queued, and acknowledged since, leaves the queue and stays away", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    const released = { delivery_method: "relay", fetched_from: null, status: "read" };
    put(
      path.join(inbox, "alice_testorg_aimaestro_local", "msg_1_a.json"),
      messageFile("msg_1_a", { metadata: { status: "read" }, local: released }),
    );
    expect(idsOf(await bob.waiting())).toEqual([]);
    expect(queue.items).toEqual([]);
  });

  it("is kept once by several processes that look at the same moment", async () => {
    const queue = await startQueue(...many(120));
    const { root, inbox, bob } = bobAt(queue.url);
    const all = [bob, startAgent({ root }), startAgent({ root }), startAgent({ root })];
    await Promise.all(all.map((agent) => agent.waiting()));
    expect(jsonFiles(inbox)).toHaveLength(120);
    for (const agent of all) expect(idsOf(await agent.waiting()).sort()).toEqual(many(120).map(({ id }) => id));
  });
});

describe("kill -9 while a long queue is taken over", () => {
  let driver: string;
  beforeAll(async () => {
    const home = createHome();
    driver = await bundleDriver(home.path);
    return () => home.remove();
  });

  it("loses, doubles and damages nothing, and marks nothing read", async () => {
    const steps = await untilFinished(async (dieAt) => {
      const queue = await startQueue(...many(103));
      const { root, inbox } = bobAt(queue.url);
      const provider = queue.url;
      const result = await drive(driver, { root, provider, name: "bob", act: "receive", dieAt });
      expectReadable(root);
      const bob = startAgent({ root });
      expect(idsOf(await bob.waiting()).sort(), `operation ${dieAt}`).toEqual(many(103).map(({ id }) => id));
      expect(jsonFiles(inbox)).toHaveLength(103);
      for (const file of jsonFiles(inbox)) expect(readJson(inbox, file)).toMatchObject({ local: { status: "unread" } });
      expect((await bob.acknowledge("all")).error).toBeUndefined();
      expect([queue.items, idsOf(await bob.waiting())]).toEqual([[], []]);
      return result;
    }, STRIDE);
    expect(steps).toBeGreaterThan(3);
  });
});

/** Of some 500 operations; a prime, so that every kind of operation is met. */
const STRIDE = 127;

it("more than a page at a provider that has cursors is seen to the last message, and all of it stays in the queue", async () => {
  const url = await embedded();
  const root = scratchRoot();
  const alice = await registerAgent(url, "alice");
  const bob = await registeredAgent("bob", { root, provider: url });
  for (let i = 0; i < 230; i++) await send(url, alice, message("bob", `${i}`));
  const waiting = await bob.waiting();
  expect(waiting).toMatchObject({ behind: 0, offline: undefined, unreadable: 0 });
  expect(idsOf(waiting)).toHaveLength(230);
  expect(idsOf(await bob.waiting())).toHaveLength(230);
  const key = readFileSync(path.join(root, "agents", "bob", "api_key"), "utf8").trim();
  const { body } = await call(url, "GET", "/api/v1/messages/pending?limit=1", { key });
  expect(body).toMatchObject({ count: 1, remaining: 229 });
});
