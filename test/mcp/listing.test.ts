import { expect, it } from "vitest";
import { type Assistant, listedIds, sentId, startRegistered, type Told, testProvider } from "../support/assistant.ts";
import { message, registerAgent, send, type TestAgent } from "../support/provider.ts";

const CURSOR = /^(\d+) more: amp_inbox with cursor "(.+)"$/m;

function nextCursor({ text }: Told): string | undefined {
  return CURSOR.exec(text)?.[2];
}

async function fill(
  url: string,
  from: TestAgent,
  count: number,
  more: Record<string, unknown> = {},
): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await send(url, from, { ...message("bob", `No. ${i}`), ...more })).body.id);
  return ids;
}

async function allPages(
  reader: Assistant,
  query: Record<string, unknown>,
  between: (page: number) => Promise<unknown>,
) {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let page = 1; ; page++) {
    const told = await reader.call("amp_inbox", { ...query, ...(cursor === undefined ? {} : { cursor }) });
    expect(told.isError, told.text).toBe(false);
    ids.push(...listedIds(told));
    cursor = nextCursor(told);
    if (cursor === undefined) return ids;
    await between(page);
  }
}

it("sixty messages come in pages, none twice and none lost, while new mail arrives and old is acknowledged", async () => {
  const { url } = await testProvider();
  const bob = await startRegistered(url, "bob");
  const alice = await registerAgent(url, "alice");
  const normal = await fill(url, alice, 40);
  const high = await fill(url, alice, 20, { priority: "high" });
  const shown = await allPages(bob, { limit: 12 }, async (page) => {
    await fill(url, alice, 2, { priority: "urgent" });
    await fill(url, alice, 1);
    const [first = ""] = page === 1 ? high.slice(11) : [];
    if (first !== "") await bob.call("amp_ack", { message_ids: [first] });
  });
  expect(new Set(shown).size).toBe(shown.length);
  expect(shown.slice(0, 60)).toEqual([...high, ...normal]);
});

it("the most urgent come first, of those the oldest, and the page says how many there are", async () => {
  const { url } = await testProvider();
  const bob = await startRegistered(url, "bob");
  const alice = await registerAgent(url, "alice");
  const order: Record<string, string[]> = {};
  for (const priority of ["low", "urgent", "normal", "high"]) order[priority] = await fill(url, alice, 2, { priority });
  const told = await bob.call("amp_inbox", { limit: 5 });
  expect(told.lines[1]).toBe("8 messages wait, 2 urgent.");
  expect(listedIds(told)).toEqual([order.urgent, order.high, order.normal].flat().slice(0, 5));
  expect(CURSOR.exec(told.text)?.[1]).toBe("3");
});

it("a sender is asked for by name or by address, and the others stay uncounted on further pages", async () => {
  const { url } = await testProvider();
  const bob = await startRegistered(url, "bob");
  const alice = await registerAgent(url, "alice");
  const carol = await registerAgent(url, "carol");
  await fill(url, carol, 3);
  const ids = await fill(url, alice, 5);
  for (const from of ["alice", "Alice@local.aimaestro.local"]) {
    const shown = await allPages(bob, { from, limit: 2 }, async () => undefined);
    expect(shown, from).toEqual(ids);
  }
  const none = await bob.call("amp_inbox", { from: "dave" });
  expect(none.text).toContain("8 messages wait.\nFrom dave: 0.");
  expect(listedIds(none)).toEqual([]);
});

it("twenty messages with long subjects stay within 900 tokens", async () => {
  const { url } = await testProvider();
  const bob = await startRegistered(url, "bob");
  const alice = await registerAgent(url, "alice");
  await fill(url, alice, 21, { subject: "The quarterly report on everything that happened ".repeat(5) });
  const { text, lines } = await bob.call("amp_inbox");
  expect(lines.filter((line) => line.startsWith("msg_"))).toHaveLength(20);
  expect(text.length / 4).toBeLessThanOrEqual(900);
});

it("acknowledging is explicit, idempotent, and honest about what was not there", async () => {
  const { url } = await testProvider();
  const bob = await startRegistered(url, "bob");
  const note = async (message: string) => sentId(await bob.call("amp_send", { to: "bob", subject: "S", message }));
  const [one, two, three] = [await note("1"), await note("2"), await note("3")];
  const ack = async (args: Record<string, unknown>) => (await bob.call("amp_ack", args)).structured;
  expect(await ack({ message_ids: [one, one, "msg_0_nowhere"] })).toMatchObject({
    acknowledged: [one],
    already_gone: [],
    unknown: ["msg_0_nowhere"],
  });
  expect(await ack({ message_ids: [one] })).toMatchObject({ acknowledged: [], already_gone: [one], unknown: [] });
  expect(await ack({ all: true })).toMatchObject({ acknowledged: [two, three] });
  expect(await ack({ all: true })).toMatchObject({ acknowledged: [], already_gone: [], unknown: [] });
  expect((await bob.call("amp_read", { message_ids: [two] })).isError).toBe(false);
  expect(await bob.call("amp_inbox")).toMatchObject({
    lines: ["agent: bob@local.aimaestro.local", "0 messages wait."],
  });
  for (const args of [{}, { message_ids: [] }, { all: false }, { all: true, message_ids: [three] }]) {
    const { text, isError } = await bob.call("amp_ack", args);
    expect(isError).toBe(true);
    expect(text).toContain("Not done: nothing was acknowledged.");
  }
});
