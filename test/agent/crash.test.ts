import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startProvider } from "../../src/provider/server.ts";
import { isObject, parseJson } from "../../src/wire/json.ts";
import { draft, put, readJson, registeredAgent, scratchRoot, startAgent, tree } from "../support/agent.ts";
import { bundleDriver, drive, untilFinished } from "../support/crash.ts";
import { createHome } from "../support/home.ts";
import { startMaestro } from "../support/maestro.ts";
import { scratchDirectory } from "../support/provider.ts";

let driver: string;

beforeAll(async () => {
  const home = createHome();
  driver = await bundleDriver(home.path);
  return () => home.remove();
});

async function embedded(): Promise<string> {
  const provider = await startProvider({ dataDirectory: scratchDirectory(), ratePerMinute: 0 });
  onTestFinished(() => provider.close());
  return provider.url;
}

async function head(home: string): Promise<string> {
  const maestro = await startMaestro({ version: "head", home });
  onTestFinished(() => maestro.close());
  return maestro.url;
}

/** What every other tool finds after a crash: JSON that is whole, and no name that it would take for its own. */
function expectReadable(root: string): void {
  for (const file of tree(root)) {
    if (!file.endsWith(".json")) continue;
    expect(isObject(parseJson(readFileSync(path.join(root, file), "utf8"))), file).toBe(true);
    if (path.basename(file) !== ".index.json") expect(path.basename(file), file).not.toMatch(/^\.|tmp/);
  }
}

function keyOf(root: string, name: string): string | undefined {
  const file = path.join(root, "agents", name, "keys", "private.pem");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

const messageFiles = (root: string) => tree(root).filter((file) => /inbox.*\.json$/.test(file));

describe("kill -9 before any file operation of a registration", () => {
  it.each(["embedded", "head"])("leaves what a second one completes, with the same keys: %s", async (kind) => {
    const shared = kind === "embedded" ? await embedded() : undefined;
    const steps = await untilFinished(async (dieAt) => {
      const root = scratchRoot();
      const provider = shared ?? (await head(path.dirname(root)));
      const name = `bob-${dieAt}`;
      const result = await drive(driver, { root, provider, name, act: "register", dieAt });
      expectReadable(root);
      const key = keyOf(root, name);
      const agent = startAgent({ root, provider, agent: name });
      const { profile } = await agent.register({ name });
      if (key !== undefined) expect(keyOf(root, name), `operation ${dieAt}`).toBe(key);
      expect((await agent.send(draft(name))).id, `operation ${dieAt}`).toMatch(/^msg_/);
      const other = startAgent({ root, agent: name });
      expect((await other.waiting()).messages, `operation ${dieAt}`).toHaveLength(1);
      expect((await other.waiting()).offline).toBeUndefined();
      expect(readJson(root, "agents", ".index.json")).toEqual({ [name]: profile.agentId });
      expectReadable(root);
      return result;
    });
    expect(steps).toBeGreaterThan(20);
  });

  it("after the first registration leaves an agent that works without a second one", async () => {
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
    });
    expect(steps).toBeGreaterThan(15);
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
