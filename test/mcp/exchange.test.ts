import { describe, expect, it } from "vitest";
import {
  type Assistant,
  listedIds,
  sentId,
  startAssistant,
  startRegistered,
  type Told,
  testProvider,
} from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { refusedUrl } from "../support/fake-provider.ts";

const NONE = "agent: none yet (not registered)";
/** One good call of every tool but `amp_register`. */
const CALLS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["amp_status", {}],
  ["amp_send", { to: "bob", subject: "Question", message: "Is it done?" }],
  ["amp_reply", { message_id: "msg_1", message: "Yes." }],
  ["amp_inbox", {}],
  ["amp_read", { message_ids: ["msg_1"] }],
  ["amp_ack", { message_ids: ["msg_1"] }],
];

/** Text and structured content agree when each fact of the second is a word of the first. */
function expectAgreement({ text, structured }: Told) {
  const facts = Object.entries(structured ?? {});
  expect(facts.length).toBeGreaterThan(1);
  for (const [name, value] of facts.flatMap(([key, fact]) =>
    (Array.isArray(fact) ? fact : [fact]).map((v) => [key, v]),
  )) {
    if (typeof value === "string" && name !== "name" && name !== "result" && name !== "tenant")
      expect(text, `${name} is in the text`).toContain(value);
  }
}

describe.each(["2026", "1.x"] as const)("two assistants with the client of the line %s", (line) => {
  it("register, ask, list, read, answer, acknowledge, and see the answer, under their address in every first line", async () => {
    const { url } = await testProvider();
    const alice = await startAssistant(url, { line });
    const bob = await startAssistant(url, { line });
    const told: [Assistant, string, Told][] = [];
    const call = async (who: Assistant, tool: string, args: Record<string, unknown> = {}) => {
      const answer = await who.call(tool, args);
      told.push([who, tool, answer]);
      expect(answer.isError, answer.text).toBe(false);
      return answer;
    };

    const registered = await call(alice, "amp_register", { name: "alice" });
    expect(registered.structured).toMatchObject({ result: "new", address: "alice@local.aimaestro.local" });
    await call(bob, "amp_register", { name: "bob" });

    const asked = await call(alice, "amp_send", { to: "bob", subject: "Q", message: "Is it done?", priority: "high" });
    expect(asked.structured).toMatchObject({ status: "queued", to: "bob@local.aimaestro.local" });

    const status = await call(bob, "amp_status");
    expect(status.text).toContain("waiting: 1 message");
    expect(status.structured).toMatchObject({ registered: true, reachable: true, waiting: 1, next: "call amp_inbox." });

    const listed = await call(bob, "amp_inbox");
    expect(listedIds(listed)).toEqual([sentId(asked)]);
    expect(listed.text).toContain('alice@local.aimaestro.local | "Q" | high request | now | 11 B | new-key');
    expect(listed.text).not.toContain("Is it done?");

    const read = await call(bob, "amp_read", { message_ids: [sentId(asked)] });
    expect(read.text).toContain("Is it done?");
    const answered = await call(bob, "amp_reply", { message_id: sentId(asked), message: "Since noon." });
    expect(answered.structured).toMatchObject({ to: "alice@local.aimaestro.local" });
    const acknowledged = await call(bob, "amp_ack", { message_ids: [sentId(asked)] });
    expect(acknowledged.structured).toMatchObject({ acknowledged: [sentId(asked)] });
    expect((await call(bob, "amp_inbox")).text).toContain("0 messages wait.");

    const seen = await call(alice, "amp_inbox");
    expect(seen.text).toContain('bob@local.aimaestro.local | "Re: Q" | high response');
    const answer = await call(alice, "amp_read", { message_ids: [sentId(answered)] });
    expect(answer.text).toContain(`in reply to ${sentId(asked)}`);
    expect(answer.text).toContain("Since noon.");

    for (const [who, tool, { lines, structured }] of told) {
      const address = `${who === alice ? "alice" : "bob"}@local.aimaestro.local`;
      expect(lines[0], tool).toBe(`agent: ${address}`);
      const isTextOnly = tool === "amp_inbox" || tool === "amp_read";
      if (isTextOnly) expect(structured, tool).toBeUndefined();
      else expect(structured, tool).toMatchObject({ agent: address });
    }
    for (const [, , answer] of told) if (answer.structured) expectAgreement(answer);
    expect(alice.stderr() + bob.stderr()).toBe("");
  });
});

describe("an unregistered assistant", () => {
  it("is told by every tool what to call next, and by none that anything was done", async () => {
    const { url } = await testProvider();
    const nobody = await startAssistant(url);
    for (const [tool, args] of CALLS) {
      const { lines, text, isError } = await nobody.call(tool, args);
      expect(lines[0]).toBe(NONE);
      expect(text, tool).toMatch(/amp_register with a name/);
      expect(isError, tool).toBe(tool !== "amp_status");
      if (isError) expect(text).toContain("Not done: nothing was sent or read.");
    }
  });

  it("is told the name that its configuration asks for", async () => {
    const { url } = await testProvider();
    const wanted = await startAssistant(url, { args: ["--agent", "Carol"] });
    const status = await wanted.call("amp_status");
    expect(status.structured).toMatchObject({ registered: false, name: "carol" });
    expect(status.text).toContain('call amp_register with name "carol"');
    expect((await wanted.call("amp_register", { name: "dave" })).text).toContain("other_agent");
    expect((await wanted.call("amp_register", { name: "carol" })).isError).toBe(false);
  });

  it("becomes the agent that the command line registers, without a restart", async () => {
    const { url } = await testProvider();
    const running = await startAssistant(url);
    expect((await running.call("amp_inbox")).isError).toBe(true);
    const { code } = await run(["register", "-n", "late", "-p", url], { env: running.home.env });
    expect(code).toBe(0);
    const { lines, isError } = await running.call("amp_inbox");
    expect([lines[0], isError]).toEqual(["agent: late@local.aimaestro.local", false]);
  });

  it("does not guess between several agents, and says who has to choose and how", async () => {
    const { url } = await testProvider();
    const first = await startRegistered(url, "alice");
    const { home } = first;
    await run(["register", "-n", "zed", "-p", url], { env: home.env });
    const torn = await startAssistant(url, { home });
    for (const [tool, args] of CALLS) {
      const { text, isError } = await torn.call(tool, args);
      expect(isError, tool).toBe(true);
      expect(text).toMatch(/Error ambiguous_agent: 2 agents live in .*: alice, zed\./);
      expect(text).toContain("--agent alice");
    }
    const chosen = await startAssistant(url, { home, env: { AMP_AGENT: "zed" } });
    expect((await chosen.call("amp_status")).lines[0]).toBe("agent: zed@local.aimaestro.local");
  });
});

describe("a provider that is not there", () => {
  it("is a fact in the status, and an error for a send, which says that nothing was sent", async () => {
    const { url } = await testProvider();
    const { home } = await startRegistered(url, "alice");
    const offline = await startAssistant(await refusedUrl(), { home });
    const status = await offline.call("amp_status");
    expect(status.isError).toBe(false);
    expect(status.text).toContain("NOT reachable");
    expect(status.structured).toMatchObject({ registered: true, reachable: false });
    const sent = await offline.call("amp_send", { to: "bob", subject: "S", message: "M" });
    expect(sent.isError).toBe(true);
    expect(sent.lines[0]).toBe("agent: alice@local.aimaestro.local");
    expect(sent.text).toContain("Error unreachable");
    expect(sent.text).toContain("Not done: nothing was sent");
  });

  it("leaves what was listed before to be read", async () => {
    const { url, close } = await testProvider();
    const alice = await startRegistered(url, "alice");
    const id = sentId(await alice.call("amp_send", { to: "alice", subject: "Note", message: "To myself" }));
    await alice.call("amp_inbox");
    await close();
    const offline = await startAssistant(url, { home: alice.home });
    const listed = await offline.call("amp_inbox");
    expect(listed.text).toContain("as far as this machine knows");
    expect(listedIds(listed)).toEqual([id]);
    expect((await offline.call("amp_read", { message_ids: [id] })).text).toContain("To myself");
    const kept = await offline.call("amp_ack", { message_ids: [id] });
    expect(kept.isError).toBe(true);
    expect(kept.structured).toMatchObject({ acknowledged: [], not_acknowledged: [id] });
  });
});

describe("registering", () => {
  it("a name that somebody has is refused with names that are free", async () => {
    const { url } = await testProvider();
    await startRegistered(url, "carol");
    const other = await startAssistant(url);
    const taken = await other.call("amp_register", { name: "carol" });
    expect(taken.isError).toBe(true);
    expect(taken.lines[0]).toBe("agent: carol (registration incomplete)");
    expect(taken.text).toMatch(/name_taken.*\n.*not registered.*\n.*carol-2.*amp_register/);
    expect((await other.call("amp_register", { name: "carol-2" })).isError).toBe(false);
  });

  it("again keeps the key pair, and the assistant goes on without a restart", async () => {
    const { url } = await testProvider();
    const alice = await startAssistant(url);
    const first = await alice.call("amp_register", { name: "alice" });
    const again = await alice.call("amp_register", { name: "alice" });
    expect(again.isError).toBe(false);
    expect(again.structured?.fingerprint).toBe(first.structured?.fingerprint);
    expect((await alice.call("amp_inbox")).isError).toBe(false);
  });

  it("a tenant that the provider does not have is corrected by its word", async () => {
    const { url } = await testProvider();
    const alice = await startAssistant(url);
    const told = await alice.call("amp_register", { name: "alice", tenant: "elsewhere" });
    expect(told.structured).toMatchObject({ tenant: "local", address: "alice@local.aimaestro.local" });
  });
});

it("two servers of one agent see one mailbox", async () => {
  const { url } = await testProvider();
  const one = await startRegistered(url, "alice");
  const two = await startAssistant(url, { home: one.home, line: "1.x" });
  const id = sentId(await two.call("amp_send", { to: "alice", subject: "Note", message: "To both" }));
  const [a, b] = await Promise.all([one.call("amp_inbox"), two.call("amp_inbox")]);
  expect([listedIds(a), listedIds(b)]).toEqual([[id], [id]]);
  expect((await one.call("amp_ack", { message_ids: [id] })).structured).toMatchObject({ acknowledged: [id] });
  expect(listedIds(await two.call("amp_inbox"))).toEqual([]);
  expect((await two.call("amp_ack", { message_ids: [id] })).structured).toMatchObject({ already_gone: [id] });
  await one.call("amp_register", { name: "alice" });
  expect((await two.call("amp_inbox")).text).toContain("0 messages wait.");
});
