import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  type Assistant,
  sentId,
  startAssistant,
  startRegistered,
  testHome,
  testProvider,
} from "../support/assistant.ts";
import { refusedUrl } from "../support/fake-provider.ts";
import { type Host, startHost } from "../support/host.ts";
import { startMaestro } from "../support/maestro.ts";

async function pair(url: string, home = testHome()) {
  const alice = await startRegistered(url, "alice", { home, args: ["--agent", "alice"] });
  const bob = await startRegistered(url, "bob", { home, args: ["--agent", "bob"] });
  return { home, alice, bob };
}

const ask = async (from: Assistant, to: string, message: string) =>
  sentId(await from.call("amp_send", { to, subject: "Q", message }));

describe("amp_wait", () => {
  it("returns with the answer to a question as soon as it is there, and consumes nothing", async () => {
    const { url } = await testProvider();
    const { alice, bob } = await pair(url);
    const question = await ask(alice, "bob", "what?");
    await ask(bob, "alice", "something else");
    const waiting = alice.call("amp_wait", { in_reply_to: question, timeout_seconds: 45 });
    const answer = sentId(await bob.call("amp_reply", { message_id: question, message: "that" }));
    const told = await waiting;
    expect(told.lines[1]).toBe(`1 message waits in reply to ${question}.`);
    expect(told.lines.filter((line) => line.startsWith("msg_"))).toEqual([expect.stringContaining(answer)]);
    expect(told).toMatchObject({ isError: false, structured: undefined });
    expect((await alice.call("amp_inbox")).text).toContain(answer);
  });

  it("returns at once with what waits already, by sender too", async () => {
    const { url } = await testProvider();
    const { alice, bob } = await pair(url);
    const id = await ask(alice, "bob", "1");
    for (const from of [undefined, "alice", "alice@local.aimaestro.local"])
      expect((await bob.call("amp_wait", from ? { from } : {})).text).toContain(id);
    expect((await bob.call("amp_wait", { in_reply_to: id, timeout_seconds: 1 })).lines.slice(1)).toEqual([
      `nothing yet in reply to ${id} after 1 second. 1 other message waits: amp_inbox.`,
      "next: go on, or call amp_wait again; what comes later is not lost.",
    ]);
  });

  it("takes what it returned for told, and still tells of other mail", async () => {
    const { url } = await testProvider();
    const { alice, bob } = await pair(url);
    await ask(alice, "bob", "1");
    const first = await bob.call("amp_wait");
    expect([first.text.includes("mail: "), (await bob.call("amp_status")).text.includes("mail: ")]).toEqual([
      false,
      false,
    ]);
  });

  it.each(["head", "seed"] as const)(
    "gets the answer through a %s of AI Maestro, which holds no request",
    async (version) => {
      const home = testHome();
      const maestro = await startMaestro({ version, home: home.path });
      onTestFinished(() => maestro.close());
      const { alice, bob } = await pair(maestro.url, home);
      const question = await ask(alice, "bob", "what?");
      const waiting = alice.call("amp_wait", { in_reply_to: question, timeout_seconds: 45 });
      await bob.call("amp_wait", { timeout_seconds: 45 });
      const answer = sentId(await bob.call("amp_reply", { message_id: question, message: "that" }));
      expect((await waiting).text).toContain(answer);
    },
  );

  it("says that nobody is registered, and what is wrong with a time, at once", async () => {
    const nobody = await startAssistant(await refusedUrl());
    expect((await nobody.call("amp_wait")).text).toContain("not_registered");
    for (const timeout_seconds of [0, 46, 1.5, "20"])
      expect((await nobody.call("amp_wait", { timeout_seconds })).text).toContain("timeout_seconds: ");
  });

  it("says what is wrong with the provider, as no error", async () => {
    const provider = await testProvider();
    const { bob } = await pair(provider.url);
    await provider.close();
    const told = await bob.call("amp_wait", { timeout_seconds: 1 });
    expect([told.isError, told.lines[2]]).toEqual([false, expect.stringContaining("could not be asked")]);
  });
});

describe("a host that has called amp_wait", () => {
  /** A connection of the 2025 protocol, in the middle of a wait of which it wants to see signs of life. */
  async function waitingHost(): Promise<Host> {
    const { url } = await testProvider();
    const { home } = await pair(url);
    const host = startHost({ env: { ...home.env, AMP_PROVIDER_URL: url }, args: ["--agent", "bob"] });
    onTestFinished(() => host.close().catch(() => undefined));
    await host.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "host", version: "1" },
    });
    host.notify("notifications/initialized");
    const params = { name: "amp_wait", arguments: { timeout_seconds: 45 }, _meta: { progressToken: "p" } };
    host.send({ jsonrpc: "2.0", id: "wait", method: "tools/call", params });
    await host.waitFor(({ method }) => method === "notifications/progress");
    return host;
  }

  it("sees that it goes on, and is answered no more once it has cancelled", async () => {
    const host = await waitingHost();
    expect(host.messages.find(({ method }) => method === "notifications/progress")).toMatchObject({
      params: { progressToken: "p", progress: expect.any(Number), total: 45, message: "waiting for mail" },
    });
    host.notify("notifications/cancelled", { requestId: "wait", reason: "enough" });
    // The wait is over when the server has nothing under way: the next answer comes, and none to the wait.
    expect((await host.request("ping")).result).toEqual({});
    expect(host.messages.some(({ id }) => id === "wait")).toBe(false);
  });

  it.each(["stdin", "SIGTERM", "SIGINT"] as const)("ends it by %s at once", async (stop) => {
    const host = await waitingHost();
    if (stop === "stdin") host.closeStdin();
    else host.signal(stop);
    const { code, elapsedMs } = await host.exited;
    expect(code).toBe(0);
    // Not after the 45 seconds that it asked for; `shutdown.test.ts` measures how soon.
    expect(elapsedMs).toBeLessThan(10_000);
  });
});

it("a cancelled call tells nobody of new mail: the next one does", async () => {
  const { url } = await testProvider();
  const { home, alice, bob } = await pair(url);
  const host = startHost({ env: { ...home.env, AMP_PROVIDER_URL: url }, args: ["--agent", "bob"] });
  onTestFinished(() => host.close().catch(() => undefined));
  await host.request("initialize", {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "host", version: "1" },
  });
  const params = {
    name: "amp_wait",
    arguments: { timeout_seconds: 45, from: "nobody" },
    _meta: { progressToken: "p" },
  };
  host.send({ jsonrpc: "2.0", id: "wait", method: "tools/call", params });
  await host.waitFor(({ method }) => method === "notifications/progress");
  const id = await ask(alice, "bob", "1");
  await vi.waitFor(async () => expect(await bob.resource("amp://inbox")).toContain(id));
  host.notify("notifications/cancelled", { requestId: "wait" });
  await host.request("ping");
  expect((await bob.call("amp_status")).text).toContain("mail: 1 new");
});
