import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import * as api from "../support/provider.ts";

const START = Date.UTC(2030, 0, 1);
const EMPTY = { messages: [], count: 0, remaining: 0 };

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

const send = async (...subjects: string[]) => {
  const sent: api.Answer[] = [];
  for (const subject of subjects) sent.push(await api.send(provider.url, alice, api.message("bob", subject)));
  return sent.map(({ body }) => body.id);
};
const list = (query = "", agent = bob) => api.pending(provider.url, agent, query);
const count = (agent = bob) => list("/count", agent);
const ack = (ids: string[]) =>
  api.call(provider.url, "POST", "/api/v1/messages/pending", { key: bob.key, body: { ids } });
const subjectsOf = ({ body }: api.Answer) => body.messages.map(({ envelope }) => envelope.subject);
const idsOf = ({ body }: api.Answer) => body.messages.map(({ id }) => id);
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => String(from + index));

describe("the count call", () => {
  it("says how many wait and since when, without a message, and changes nothing", async () => {
    expect((await count()).body).toEqual({ count: 0, oldest_queued_at: null, cursor: expect.any(String) });
    await send("1");
    time += 1000;
    await send("2");
    const { body, headers } = await count();
    expect(body).toEqual({ count: 2, oldest_queued_at: new Date(START).toISOString(), cursor: expect.any(String) });
    expect(headers.get("Cache-Control")).toContain("no-store");
    expect((await count()).body).toEqual(body);
    expect(subjectsOf(await list())).toEqual(["1", "2"]);
    expect((await count(alice)).body).toMatchObject({ count: 0, oldest_queued_at: null });
  });

  it("gives a cursor for what comes after all that it counted", async () => {
    await send("1", "2");
    const { cursor } = (await count()).body;
    expect((await list(`?after=${cursor}`)).body).toEqual({ ...EMPTY, next_cursor: cursor });
    await send("3");
    expect(subjectsOf(await list(`?after=${cursor}`))).toEqual(["3"]);
  });

  it("leaves out what has expired", async () => {
    await send("old");
    time += 7 * 24 * 60 * 60 * 1000;
    expect((await count()).body).toMatchObject({ count: 0, oldest_queued_at: null });
  });
});

describe("a cursor", () => {
  it("leads through 250 messages without loss or repetition while others come and go", async () => {
    await Promise.all(numbers(0, 250).map((subject) => send(subject)));
    const seen: string[] = [];
    let page = await list("?limit=100");
    expect(page.body).toMatchObject({ count: 100, remaining: 150 });
    for (let more = 250; page.body.count !== 0; more += 10) {
      seen.push(...subjectsOf(page).map(String));
      const added = more < 300 ? numbers(more, more + 10) : [];
      const [next] = await Promise.all([
        list(`?limit=100&after=${page.body.next_cursor}`),
        ack(idsOf(page)),
        ...added.map((subject) => send(subject)),
      ]);
      page = next;
    }
    // What was added beside the last, empty page.
    seen.push(...subjectsOf(await list(`?limit=100&after=${page.body.next_cursor}`)).map(String));
    expect(seen).toHaveLength(new Set(seen).size);
    expect(seen.map(Number).sort((a, b) => a - b)).toEqual(seen.map((_, index) => index));
    expect(seen.length).toBeGreaterThanOrEqual(280);
  });

  it("outlives the moment in which the queue is empty, and its places start again", async () => {
    const ids = await send("1", "2", "3");
    const { next_cursor } = (await list()).body;
    await ack(ids);
    expect((await list(`?after=${next_cursor}`)).body).toMatchObject(EMPTY);
    await send("4");
    expect(readdirSync(path.join(dataDirectory, "queue", bob.id))[0]).toMatch(/^0{11}1_/);
    expect(subjectsOf(await list(`?after=${next_cursor}`))).toEqual(["4"]);
  });

  it("passes over no message that is published late, at a place before those already handed out", async () => {
    await send("1", "2");
    const { next_cursor } = (await list()).body;
    const [late] = (await list()).body.messages;
    const file = path.join(dataDirectory, "queue", bob.id, `000000000001_msg_${START - 1}_0000000.json`);
    writeFileSync(file, JSON.stringify({ ...late, id: "late" }));
    expect(idsOf(await list(`?after=${next_cursor}`))).toEqual(["late"]);
  });

  it("gets beyond a file that cannot be read", async () => {
    await ack(await send("gone"));
    const { cursor } = (await count()).body;
    writeFileSync(path.join(dataDirectory, "queue", bob.id, `000000000001_msg_${START}_aaaaaaa.json`), "{");
    const page = await list(`?after=${cursor}`);
    expect(page.body).toMatchObject(EMPTY);
    expect((await list(`?after=${page.body.next_cursor}`)).body).toMatchObject(EMPTY);
    await send("whole");
    expect(subjectsOf(await list(`?after=${page.body.next_cursor}`))).toEqual(["whole"]);
  });

  it("can be used again, and by several readers, each at its own pace", async () => {
    await send("1", "2", "3");
    const first = await list("?limit=1");
    const after = `?after=${first.body.next_cursor}`;
    expect(subjectsOf(await list(`${after}&limit=1`))).toEqual(["2"]);
    expect(subjectsOf(await list(after))).toEqual(["2", "3"]);
    expect(subjectsOf(await list(`${after}&limit=1`))).toEqual(["2"]);
    const alias = await api.call(provider.url, "GET", `/api/v1/messages${after}`, { key: bob.key });
    expect(subjectsOf(alias)).toEqual(["2", "3"]);
  });

  it("that is empty counts as none", async () => {
    await send("1");
    expect(subjectsOf(await list("?after="))).toEqual(["1"]);
  });

  it("that this provider did not give, for this agent and since its start, is expired", async () => {
    await send("1");
    const { next_cursor: mine } = (await list()).body;
    const { cursor: alices } = (await count(alice)).body;
    const beside = await start();
    const given = (await api.pending(beside.url, bob)).body.next_cursor;
    const [epoch] = mine.split(".");
    const garbage = [
      "x",
      ".",
      "1",
      `${epoch}`,
      `${epoch}.`,
      `${epoch}.99`,
      `${epoch}.-1`,
      `${epoch}.1e0`,
      `${mine}.1`,
      "é",
      "%00",
    ];
    for (const cursor of [alices, given, ...garbage]) {
      const answer = await list(`?after=${encodeURIComponent(cursor)}`);
      expect([answer.status, answer.body.error], cursor).toEqual([410, "cursor_expired"]);
      expect(answer.body.message).toEqual(expect.any(String));
    }
    expect((await list(`?after=${mine}`)).status).toBe(200);
  });
});

it.each(["/messages/pending/count", "/messages/pending?after=x"])("GET %s is for those with a key", async (target) => {
  for (const key of [undefined, `amp_live_sk_${"0".repeat(64)}`]) {
    const answer = await api.call(provider.url, "GET", `/api/v1${target}`, key === undefined ? {} : { key });
    expect([answer.status, answer.body.error]).toEqual([401, "unauthorized"]);
  }
});
