import { spawnSync } from "node:child_process";
import { existsSync, renameSync, utimesSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Agent } from "../../src/agent/agent.ts";
import { waitForMail } from "../../src/agent/wait.ts";
import { startProvider } from "../../src/provider/server.ts";
import { draft, messageFile, put, readJson, registeredAgent, scratchRoot, startAgent } from "../support/agent.ts";
import { startFakeProvider } from "../support/fake-provider.ts";
import { startMaestro } from "../support/maestro.ts";
import { scratchDirectory } from "../support/provider.ts";
import { bobAt, ID, item, startQueue } from "../support/queue.ts";

/** Longer than any pause that may lie before what is waited for. */
const PATIENCE = { timeout: 20_000, interval: 20 };

async function provider() {
  const started = await startProvider({ dataDirectory: scratchDirectory(), ratePerMinute: 0 });
  onTestFinished(() => started.close());
  return started;
}

/** The ids that this agent finds on disk, waiting. */
const here = async (agent: Agent) => (await agent.waitingOnDisk()).messages.map(({ message }) => message.envelope.id);

/** An agent that receives, and how often it was told of a change. */
function receiving(agent: Agent) {
  const changes = { count: 0 };
  agent.arrivals.onChange(() => {
    changes.count += 1;
  });
  agent.arrivals.start();
  return changes;
}

const lockOf = (root: string) => path.join(root, "agents", "bob", ".receiver.lock");

describe("of several processes of one agent", () => {
  it("one receives, all hear of the mail, and another takes over when that one ends", async () => {
    const started = await provider();
    const { url } = started;
    const root = scratchRoot();
    const alice = await registeredAgent("alice", { root, provider: url });
    const bobs = [
      await registeredAgent("bob", { root, provider: url }),
      startAgent({ root, provider: url, agent: "bob" }),
    ];
    const heard = bobs.map(receiving);
    await vi.waitFor(
      () => expect(bobs.filter((bob) => bob.arrivals.receiving?.by === "here")).toHaveLength(1),
      PATIENCE,
    );
    await vi.waitFor(() => expect(started.held).toBe(1), PATIENCE);
    const first = await alice.send(draft("bob", { message: "1" }));
    for (const [i, bob] of bobs.entries()) {
      await vi.waitFor(() => expect(heard[i]?.count).toBe(1), PATIENCE);
      expect(await here(bob)).toEqual([first.id]);
    }
    const receiver = bobs.find((bob) => bob.arrivals.receiving?.by === "here");
    const other = bobs.find((bob) => bob !== receiver);
    await receiver?.close();
    await vi.waitFor(() => expect(other?.arrivals.receiving).toMatchObject({ by: "here", way: "long-poll" }), PATIENCE);
    const second = await alice.send(draft("bob", { message: "2" }));
    await vi.waitFor(async () => expect(other && (await here(other))).toContain(second.id), PATIENCE);
    await other?.close();
    await vi.waitFor(() => expect(existsSync(lockOf(root))).toBe(false), PATIENCE);
  });

  it("one takes over from a process that was killed, and from one that has been silent for long", async () => {
    const queue = await startQueue(item("msg_1"));
    const { pid } = spawnSync(process.execPath, ["-e", "0"]);
    for (const holder of [
      { pid, host: os.hostname() },
      { pid: 1, host: "another-machine" },
    ]) {
      const { root, bob } = bobAt(queue.url);
      const lock = put(lockOf(root), { ...holder, token: "x" });
      utimesSync(lock, new Date(), new Date(Date.now() - 60_000));
      receiving(bob);
      await vi.waitFor(async () => expect(await here(bob)).toEqual(["msg_1"]), PATIENCE);
    }
  });

  it("none asks while another one that lives does", async () => {
    const queue = await startQueue(item("msg_1"));
    const { root, inbox, bob } = bobAt(queue.url);
    put(lockOf(root), { pid: process.pid, host: os.hostname(), token: "x" });
    const heard = receiving(bob);
    put(path.join(inbox, "carol", "msg_2.json"), messageFile("msg_2"));
    await vi.waitFor(() => expect(heard.count).toBe(1), PATIENCE);
    expect(bob.arrivals.receiving).toMatchObject({ by: "elsewhere" });
    expect(queue.requests).toEqual([]);
  });

  it("one that waits for an answer makes the one that receives ask more often", async () => {
    const queue = await startQueue();
    const { root, bob } = bobAt(queue.url);
    const other = startAgent({ root });
    receiving(bob);
    await vi.waitFor(() => expect(bob.arrivals.receiving).toMatchObject({ by: "here", way: "poll" }), PATIENCE);
    receiving(other);
    const asked = () => queue.requests.length;
    // Until the pauses have grown to several seconds.
    await vi.waitFor(() => expect(asked()).toBeGreaterThan(4), PATIENCE);
    const before = asked();
    queue.items.push(item("msg_1"));
    await other.arrivals.activity();
    await vi.waitFor(async () => expect(await here(other)).toEqual(["msg_1"]), { timeout: 2_500, interval: 20 });
    expect(asked()).toBeGreaterThan(before);
  });
});

describe("a server that was running before", () => {
  it("follows a registration that another program has changed", async () => {
    const [before, after] = [await startQueue(), await startQueue(item("msg_1"))];
    const { directory, bob } = bobAt(before.url);
    receiving(bob);
    await vi.waitFor(() => expect(bob.arrivals.receiving?.way).toBe("poll"), PATIENCE);
    const config = readJson(directory, "config.json");
    put(path.join(directory, "config.json"), {
      ...config,
      provider: { name: "other", endpoint: `${after.url}/api/v1` },
    });
    await vi.waitFor(async () => expect(await here(bob)).toEqual(["msg_1"]), PATIENCE);
  });

  it("keeps to what it knew while a script writes the registration, half of it", async () => {
    const queue = await startQueue(item("msg_1"));
    const { directory, bob } = bobAt(queue.url);
    await bob.waiting();
    put(path.join(directory, "config.json"), '{"agent_name": "bo');
    expect([await bob.address(), (await bob.waiting()).messages.length]).toEqual(["bob@testorg.aimaestro.local", 1]);
  });

  it("follows a directory that AI Maestro has renamed, and makes none of the old name again", async () => {
    const queue = await startQueue();
    const { root, directory, bob } = bobAt(queue.url);
    const heard = receiving(bob);
    await vi.waitFor(() => expect(bob.arrivals.receiving?.way).toBe("poll"), PATIENCE);
    renameSync(directory, path.join(root, "agents", ID));
    put(path.join(root, "agents", ".index.json"), { bob: ID });
    queue.items.push(item("msg_1"));
    put(path.join(root, "agents", ID, "messages", "inbox", "carol", "msg_2.json"), messageFile("msg_2"));
    await bob.arrivals.activity();
    await vi.waitFor(async () => expect((await here(bob)).sort()).toEqual(["msg_1", "msg_2"]), PATIENCE);
    expect([existsSync(directory), heard.count > 0]).toEqual([false, true]);
  });

  it("does not keep one with another source from receiving", async () => {
    const [one, two] = [await startQueue(item("msg_1")), await startQueue(item("msg_2"))];
    const { root, bob } = bobAt(one.url);
    receiving(bob);
    await vi.waitFor(() => expect(bob.arrivals.receiving?.by).toBe("here"), PATIENCE);
    const other = startAgent({ root, provider: two.url });
    receiving(other);
    await vi.waitFor(async () => expect((await here(other)).sort()).toEqual(["msg_1", "msg_2"]), PATIENCE);
  });
});

it("a wait and a status take nothing off a queue that is too long for a page", async () => {
  const queue = await startQueue(...Array.from({ length: 130 }, (_, i) => item(`msg_${i}`)));
  const { bob } = bobAt(queue.url);
  const nothing = waitForMail(bob, { from: "nobody" }, 1_000, new AbortController().signal, () => {});
  expect([(await nothing).fitting, (await bob.status()).waiting?.behind]).toEqual([0, 30]);
  expect([queue.items.length, queue.acknowledged]).toEqual([130, []]);
});

it("a wait is over when mail is on disk, however long the provider hangs, and says nothing bad of it", async () => {
  const silent = await startFakeProvider([{ act: "silence" }]);
  onTestFinished(() => silent.close());
  const { inbox, bob } = bobAt(silent.url);
  const steps: number[] = [];
  const { signal } = new AbortController();
  const waiting = waitForMail(bob, {}, 45_000, signal, (waited) => steps.push(waited));
  await vi.waitFor(() => expect([silent.requests.length, steps.length]).toEqual([1, 1]), PATIENCE);
  put(path.join(inbox, "carol", "msg_1.json"), messageFile("msg_1"));
  const { fitting, waiting: found } = await waiting;
  expect([fitting, found.offline]).toEqual([1, undefined]);
  expect((await waitForMail(bob, {}, 45_000, signal, () => {})).fitting).toBe(1);
});

describe("mail", () => {
  it("in every inbox that tools file into is heard of, also in one that is made later", async () => {
    const { root, inbox, bob } = bobAt("http://127.0.0.1:9");
    const heard = receiving(bob);
    put(path.join(inbox, "carol", "msg_1.json"), messageFile("msg_1"));
    await vi.waitFor(() => expect(heard.count).toBe(1), PATIENCE);
    put(path.join(root, "agents", ID, "messages", "inbox", "dave", "msg_2.json"), messageFile("msg_2"));
    await vi.waitFor(() => expect(heard.count).toBe(2), PATIENCE);
    put(path.join(inbox, "carol", "msg_3.json"), messageFile("msg_3"));
    await vi.waitFor(() => expect(heard.count).toBe(3), PATIENCE);
  });

  it("that comes by the queue and by the disk is one message", async () => {
    const queue = await startQueue(item("msg_1"));
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "elsewhere", "msg_1.json"), messageFile("msg_1"));
    const heard = receiving(bob);
    await vi.waitFor(() => expect(queue.requests.length).toBeGreaterThan(1), PATIENCE);
    expect([await here(bob), heard.count]).toEqual([["msg_1"], 1]);
  });

  it("from a first AI Maestro is received by asking, from a current one on the disk, and nothing is taken off or marked", async () => {
    for (const version of ["seed", "head"] as const) {
      const root = scratchRoot();
      const maestro = await startMaestro({ version, home: path.dirname(root) });
      onTestFinished(() => maestro.close());
      const alice = await registeredAgent("alice", { root, provider: maestro.url });
      const bob = await registeredAgent("bob", { root, provider: maestro.url });
      const heard = receiving(bob);
      await alice.send(draft("bob"));
      await vi.waitFor(() => expect(heard.count).toBe(1), PATIENCE);
      expect(await here(bob)).toHaveLength(1);
      const changing = maestro.requests.filter(({ method, path: at }) => method !== "GET" && at.includes("pending"));
      expect(changing).toEqual([]);
    }
  });
});

describe("receiving", () => {
  it("begins by itself once the agent is registered, here or by another program", async () => {
    const { url } = await provider();
    const root = scratchRoot();
    const bob = startAgent({ root, provider: url, agent: "bob" });
    receiving(bob);
    await registeredAgent("bob", { root, provider: url });
    await vi.waitFor(() => expect(bob.arrivals.receiving).toMatchObject({ by: "here", way: "long-poll" }), PATIENCE);
  });

  it("goes on with a key that was renewed, and with a provider that was away", async () => {
    const queue = await startQueue();
    const { root, directory, bob } = bobAt(queue.url);
    receiving(bob);
    await vi.waitFor(() => expect(bob.arrivals.receiving?.way).toBe("poll"), PATIENCE);
    queue.key = "amp_live_sk_4567";
    await vi.waitFor(() => expect(existsSync(lockOf(root))).toBe(false), PATIENCE);
    put(path.join(directory, "api_key"), "amp_live_sk_4567\n");
    queue.items.push(item("msg_1"));
    await bob.arrivals.activity();
    await vi.waitFor(async () => expect(await here(bob)).toEqual(["msg_1"]), PATIENCE);
  });

  it("ends at once although a provider holds a request for ever", async () => {
    const silent = await startFakeProvider([{ act: "silence" }]);
    onTestFinished(() => silent.close());
    const { root, bob } = bobAt(silent.url);
    receiving(bob);
    await vi.waitFor(() => expect(silent.requests).toHaveLength(1), PATIENCE);
    await bob.close();
    await vi.waitFor(() => expect(existsSync(lockOf(root))).toBe(false), PATIENCE);
  });
});
