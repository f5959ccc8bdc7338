import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { draft, put, readJson, registeredAgent, scratchRoot, startAgent, tree } from "../support/agent.ts";
import { bundleDriver, drive, embedded, expectReadable, untilFinished } from "../support/crash.ts";
import { createHome } from "../support/home.ts";

let driver: string;

beforeAll(async () => {
  const home = createHome();
  driver = await bundleDriver(home.path);
  return () => home.remove();
});

const messageFiles = (root: string) => tree(root).filter((file) => /inbox.*\.json$/.test(file));

describe("kill -9 before every second file operation of a renewal", () => {
  it("leaves an agent that works without another one", async () => {
    const provider = await embedded();
    const steps = await untilFinished(async (dieAt) => {
      const root = scratchRoot();
      const name = `bob-${dieAt}`;
      await registeredAgent(name, { root, provider });
      const result = await drive(driver, { root, provider, name, act: "register", dieAt });
      const agent = startAgent({ root });
      expect((await agent.waiting()).offline, `operation ${dieAt}`).toBeUndefined();
      expect((await agent.send(draft(name))).status).toBe("queued");
      expectReadable(root);
      return result;
    }, 2);
    expect(steps).toBeGreaterThan(8);
  });
});

describe("kill -9 before any file operation of the inbox", () => {
  it("while messages are received loses, doubles and damages none", async () => {
    const provider = await embedded();
    const eve = await registeredAgent("eve", { root: scratchRoot(), provider });
    const steps = await untilFinished(async (dieAt) => {
      const root = scratchRoot();
      const name = `bob-${dieAt}`;
      const bob = await registeredAgent(name, { root, provider });
      const ids: unknown[] = [];
      for (const subject of ["one", "two", "three"]) ids.push((await eve.send(draft(name, { subject }))).id);
      const result = await drive(driver, { root, provider, name, act: "receive", dieAt });
      expectReadable(root);
      const waiting = await bob.waiting();
      expect(waiting).toMatchObject({ unreadable: 0, behind: 0, offline: undefined });
      expect(waiting.messages.map(({ message }) => message.envelope.id)).toEqual(ids);
      expect(messageFiles(root)).toHaveLength(3);
      return result;
    });
    expect(steps).toBeGreaterThan(5);
  });

  it("while messages are acknowledged leaves each of them waiting or read, and all can be acknowledged again", async () => {
    const provider = await embedded();
    const eve = await registeredAgent("eve", { root: scratchRoot(), provider });
    const steps = await untilFinished(async (dieAt) => {
      const root = scratchRoot();
      const name = `bob-${dieAt}`;
      const bob = await registeredAgent(name, { root, provider });
      for (const subject of ["one", "two", "three"]) await eve.send(draft(name, { subject }));
      await bob.waiting();
      put(path.join(root, "agents", name, "messages", "inbox", "x", "msg_1_disk.json"), {
        envelope: { id: "msg_1_disk", from: "x@y.z.w" },
        payload: { message: "by another tool" },
      });
      const result = await drive(driver, { root, provider, name, act: "acknowledge", dieAt });
      expectReadable(root);
      const fresh = startAgent({ root, provider });
      const { messages } = await fresh.waiting();
      const waiting = new Set(messages.map(({ path: file }) => file));
      for (const file of messageFiles(root).map((file) => path.join(root, file))) {
        if (waiting.has(file)) continue;
        const read = { metadata: { status: "read" }, local: { status: "read" } };
        expect(readJson(file), `operation ${dieAt}`).toMatchObject(read);
      }
      expect((await fresh.acknowledge("all")).error).toBeUndefined();
      expect((await fresh.waiting()).messages).toEqual([]);
      expect(messageFiles(root)).toHaveLength(4);
      return result;
    });
    expect(steps).toBeGreaterThan(5);
  });
});

describe("kill -9 before any file operation of a first contact", () => {
  it("leaves a ledger of keys that is whole, and a sender who is met once", async () => {
    const provider = await embedded();
    const eve = await registeredAgent("eve", { root: scratchRoot(), provider });
    const steps = await untilFinished(async (dieAt) => {
      const root = scratchRoot();
      const name = `bob-${dieAt}`;
      const bob = await registeredAgent(name, { root, provider });
      const { id = "" } = await eve.send(draft(name));
      await bob.waiting();
      const result = await drive(driver, { root, provider, name, act: "read", dieAt });
      expectReadable(root);
      const [read] = await startAgent({ root, provider }).read([id]);
      expect(read?.judgement.verdict, `operation ${dieAt}`).toBe("new-key");
      expect(await (await bob.keys()).list()).toMatchObject([["eve@local.aimaestro.local", { first_message: id }]]);
      return result;
    });
    expect(steps).toBeGreaterThan(3);
  });
});
