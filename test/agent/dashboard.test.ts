import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startAgent } from "../support/agent.ts";
import { type FakeRequest, startFakeProvider } from "../support/fake-provider.ts";
import { bobAt, ID, idsOf, item } from "../support/queue.ts";

/** A message as the dashboard of AI Maestro 0.36 tells of it (recorded): the id with dashes, the sender's bare name. */
function shown(number: number, status = "unread") {
  const id = `msg-179533490449${number}-9kgl75a`;
  return { id, from: "alpha", fromHost: "testorg", to: "bob", subject: `S${number}`, priority: "high", status };
}

const idOf = (number: number) => `msg_179533490449${number}_9kgl75a`;

/** A current AI Maestro on another machine: its queue is empty for ever, its dashboard has the mail. */
async function maestro(...numbers: number[]) {
  const inbox = numbers.map((number) => shown(number));
  const json = (status: number, body: unknown) => ({ act: "answer", status, body }) as const;
  const answer = ({ method, path, headers }: FakeRequest) => {
    const { pathname, searchParams } = new URL(path, "http://x");
    if (pathname !== "/api/messages") return json(200, { messages: [], count: 0, remaining: 0 });
    expect([headers.authorization, searchParams.get("agent")]).toEqual([undefined, ID]);
    const wanted = searchParams.get("id")?.replaceAll("_", "-");
    const one = inbox.find(({ id }) => id === wanted);
    if (wanted === undefined) {
      const messages = inbox
        .filter(({ status }) => status === "unread")
        .map((message) => ({ ...message, preview: "x" }));
      return json(200, { messages, limit: 100 });
    }
    if (one === undefined) return json(404, { error: "Message not found" });
    if (method === "PATCH") {
      one.status = "read";
      return json(200, { success: true });
    }
    return json(200, {
      ...one,
      timestamp: "2026-11-22T08:08:24.494Z",
      content: { type: "request", message: "THE TEXT" },
    });
  };
  const fake = await startFakeProvider(answer);
  onTestFinished(() => fake.close());
  const changes = () => fake.requests.filter(({ method }) => method !== "GET");
  return { ...fake, inbox, changes };
}

/** Bob on a machine of his own, with the option. */
function bobBy(url: string) {
  const { root, inbox } = bobAt(url);
  return { root, inbox, bob: startAgent({ root, env: { AMP_DASHBOARD: "1" } }) };
}

describe("mail of an AI Maestro on another machine", () => {
  it("is received by its dashboard when that is asked for, as unsigned, and marked nowhere", async () => {
    const { url, changes } = await maestro(1, 2);
    const { bob } = bobBy(url);
    expect(idsOf(await bob.waiting()).sort()).toEqual([idOf(1), idOf(2)]);
    const [read] = await bob.read([idOf(1)]);
    expect(read).toMatchObject({
      judgement: { verdict: "unsigned", payload: { type: "request", message: "THE TEXT" } },
      stored: { message: { envelope: { from: "alpha", subject: "S1", priority: "high" } } },
    });
    expect(changes()).toEqual([]);
  });

  it("is not looked for without the option", async () => {
    const { url, requests } = await maestro(1);
    const { bob } = bobAt(url);
    expect(idsOf(await bob.waiting())).toEqual([]);
    expect(requests.filter(({ path }) => path.startsWith("/api/messages"))).toEqual([]);
  });

  it("comes by itself while a server runs, each once", async () => {
    const { url, inbox, requests } = await maestro(1);
    const { bob } = bobBy(url);
    bob.arrivals.start();
    const here = async () => idsOf(await bob.waitingOnDisk()).sort();
    await vi.waitFor(async () => expect(await here()).toEqual([idOf(1)]), 10_000);
    inbox.push(shown(2));
    await vi.waitFor(async () => expect(await here()).toEqual([idOf(1), idOf(2)]), 10_000);
    expect(requests.filter(({ path }) => path.includes(encodeURIComponent(idOf(1))))).toHaveLength(1);
  });

  it("is marked read there when it is acknowledged, so that it does not come again, even when its file is pruned", async () => {
    const { url, changes } = await maestro(1);
    const { bob } = bobBy(url);
    expect(idsOf(await bob.waiting())).toEqual([idOf(1)]);
    expect(await bob.acknowledge([idOf(1)])).toMatchObject({ acknowledged: [idOf(1)], failed: [] });
    expect(changes()).toMatchObject([{ method: "PATCH" }]);
    expect(await bob.prune(0, false)).toHaveLength(1);
    expect(idsOf(await bob.waiting())).toEqual([]);
  });

  it("stays waiting when the dashboard cannot be told that it is acknowledged", async () => {
    const { url, close } = await maestro(1);
    const { bob } = bobBy(url);
    await bob.waiting();
    await close();
    expect(await bob.acknowledge([idOf(1)])).toMatchObject({ acknowledged: [], failed: [idOf(1)] });
    expect(idsOf(await bob.waiting())).toEqual([idOf(1)]);
  });
});

it.each([
  ["HTML", { act: "answer", status: 200, body: "<html>" } as const],
  ["no list", { act: "answer", status: 200, body: { messages: 3 } } as const],
  ["a failure", { act: "answer", status: 500, body: { error: "x" } } as const],
  [
    "ids that are none",
    { act: "answer", status: 200, body: { messages: [{ id: "../../x" }, { id: "msg-1" }] } } as const,
  ],
])("a dashboard that answers with %s hides no other mail and writes nothing", async (what, act) => {
  const messages = [item("msg_1")];
  const fake = await startFakeProvider(({ path }) =>
    path.startsWith("/api/messages") ? act : { act: "answer", status: 200, body: { messages, remaining: 0 } },
  );
  onTestFinished(() => fake.close());
  const { bob } = bobBy(fake.url);
  const waiting = await bob.waiting();
  expect([idsOf(waiting), waiting.offline === undefined]).toEqual([["msg_1"], what.startsWith("ids")]);
});
