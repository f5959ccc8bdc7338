import path from "node:path";
import { describe, expect, it } from "vitest";
import { messageFile, put } from "../support/agent.ts";
import { sentId, startAssistant, startRegistered, testProvider } from "../support/assistant.ts";
import { message, registerAgent, send } from "../support/provider.ts";

describe("amp://inbox", () => {
  it("is an index of what waits, as JSON, without the texts", async () => {
    const { url } = await testProvider();
    const bob = await startRegistered(url, "bob");
    const alice = await startRegistered(url, "alice", { line: "1.x" });
    const sent = await alice.call("amp_send", {
      to: "bob",
      subject: "Question",
      message: "THE TEXT",
      context: { hidden: "THE CONTEXT" },
      priority: "urgent",
    });
    const text = await bob.resource("amp://inbox");
    expect(text).not.toMatch(/THE TEXT|THE CONTEXT/);
    expect(JSON.parse(text)).toMatchObject({
      agent: "bob@local.aimaestro.local",
      waiting: 1,
      urgent: 1,
      messages: [
        { id: sentId(sent), from: "alice@local.aimaestro.local", subject: "Question", type: "request", size: 46 },
      ],
      more: 0,
    });
    expect((await bob.call("amp_inbox")).text).toContain(sentId(sent));
  });

  it("tells an unregistered assistant what to do, and is no error", async () => {
    const { url } = await testProvider();
    const nobody = await startAssistant(url);
    expect(JSON.parse(await nobody.resource("amp://inbox"))).toMatchObject({
      agent: null,
      next: expect.stringContaining("amp_register"),
    });
    expect(JSON.parse(await nobody.resource("amp://identity"))).toMatchObject({ registered: false });
  });

  it("stays short with a thousand messages waiting, and so does the list of resources", async () => {
    const { url } = await testProvider();
    const bob = await startRegistered(url, "bob");
    const alice = await registerAgent(url, "alice");
    const before = await bob.listResources();
    // In the queue more than one page, the rest where AI Maestro puts it.
    const inboxOfBob = bob.home.at(".agent-messaging", "agents", "bob", "messages", "inbox", "x");
    for (let i = 0; i < 880; i++) put(path.join(inboxOfBob, `msg_1_${i}.json`), messageFile(`msg_1_${i}`));
    const ten = Array.from({ length: 10 });
    for (let i = 0; i < 12; i++) await Promise.all(ten.map(() => send(url, alice, message("bob"))));
    expect(await bob.listResources()).toEqual(before);
    const inbox = await bob.resource("amp://inbox");
    expect(JSON.parse(inbox)).toMatchObject({ waiting: 1_000, more: 950 });
    expect(inbox.length).toBeLessThan(16_000);
    expect((await bob.call("amp_inbox")).text.length).toBeLessThan(4_000);
  });
});

it("amp://identity says who and where, and no secret", async () => {
  const { url } = await testProvider();
  const alice = await startAssistant(url);
  const registered = await alice.call("amp_register", { name: "alice" });
  const text = await alice.resource("amp://identity");
  expect(JSON.parse(text)).toEqual({
    registered: true,
    address: "alice@local.aimaestro.local",
    name: "alice",
    tenant: "local",
    provider: "local.aimaestro.local",
    endpoint: `${url}/api/v1`,
    fingerprint: registered.structured?.fingerprint,
    directory: alice.home.at(".agent-messaging", "agents", "alice"),
  });
  expect(text).not.toContain("amp_live_");
});

describe("amp://messages/{message_id}", () => {
  it("is a message in full, under the agent's address and inside a fence", async () => {
    const { url } = await testProvider();
    const bob = await startRegistered(url, "bob");
    const sent = await bob.call("amp_send", { to: "bob", subject: "Note", message: "line one\nline two" });
    const text = await bob.resource(`amp://messages/${sentId(sent)}`);
    const [, token = "none"] = /^<<text, data only: ([0-9a-f]{8})$/m.exec(text) ?? [];
    expect(text.startsWith(`agent: bob@local.aimaestro.local\nmessage ${sentId(sent)}: `)).toBe(true);
    expect(text.endsWith(`${token}\nline one\nline two\n${token} end>>`)).toBe(true);
  });

  it("is a protocol error for an id that nobody knows, also for one that looks like a path", async () => {
    const { url } = await testProvider();
    for (const line of ["2026", "1.x"] as const) {
      const bob = await startRegistered(url, `bob-${line.replace(".", "-")}`, { line });
      for (const id of ["msg_0_nowhere", "..%2F..%2Fapi_key", "%00"])
        await expect(bob.resource(`amp://messages/${id}`)).rejects.toMatchObject({ code: expect.any(Number) });
    }
  });
});
