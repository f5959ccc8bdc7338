import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import * as api from "../support/provider.ts";
import { bundleProvider, spawnProvider } from "../support/provider-process.ts";

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

/** A request that the provider holds by now, and whether it was answered. */
async function hold(query = "?wait=30", held = 1) {
  const state = { isAnswered: false };
  const answer = list(query).finally(() => {
    state.isAnswered = true;
  });
  await vi.waitFor(() => expect(provider.held).toBe(held), { interval: 1 });
  return { answer, state };
}

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
    expect((await list(`?wait=0.01&after=${page.body.next_cursor}`)).body).toMatchObject(EMPTY);
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

  it("shows a reader who waits each of 100 messages sent at once exactly once", async () => {
    let { cursor } = (await count()).body;
    const sending = Promise.all(numbers(0, 100).map((subject) => send(subject)));
    const seen: unknown[] = [];
    while (seen.length < 100) {
      const page = await list(`?wait=30&limit=7&after=${cursor}`);
      seen.push(...idsOf(page));
      cursor = page.body.next_cursor;
    }
    expect(seen.sort()).toEqual((await sending).flat().sort());
    expect((await list(`?after=${cursor}`)).body).toMatchObject(EMPTY);
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
      for (const more of ["", "&wait=30"]) {
        const answer = await list(`?after=${encodeURIComponent(cursor)}${more}`);
        expect([answer.status, answer.body.error], cursor).toEqual([410, "cursor_expired"]);
        expect(answer.body.message).toEqual(expect.any(String));
      }
    }
    expect(provider.held).toBe(0);
    expect((await list(`?after=${mine}`)).status).toBe(200);
  });
});

describe("a request that waits", () => {
  it("is answered at once when there is something already", async () => {
    await send("1");
    expect(subjectsOf(await list("?wait=30"))).toEqual(["1"]);
    const { next_cursor } = (await list()).body;
    await send("2");
    expect(subjectsOf(await list(`?wait=30&after=${next_cursor}`))).toEqual(["2"]);
  });

  it("is held until there is something, and then given that alone", async () => {
    await send("1");
    const { cursor } = (await count()).body;
    const { answer, state } = await hold(`?wait=30&after=${cursor}`);
    await api.send(provider.url, bob, api.message("alice", "for somebody else"));
    await count();
    expect([state.isAnswered, provider.held]).toEqual([false, 1]);
    await send("2");
    expect(subjectsOf(await answer)).toEqual(["2"]);
    expect(provider.held).toBe(0);
  });

  it("is woken by the message itself, and not by a look at the directory", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const answer = list("?wait=30");
    while (provider.held === 0) await new Promise((resolve) => setImmediate(resolve));
    await send("1");
    expect(subjectsOf(await answer)).toEqual(["1"]);
  });

  it("is one of several, all of which are woken", async () => {
    const { cursor } = (await count()).body;
    const requests = [];
    for (let held = 1; held <= 8; held++)
      requests.push(await hold(held % 2 ? "?wait=30" : `?wait=30&after=${cursor}`, held));
    await send("1");
    for (const { answer } of requests) expect(subjectsOf(await answer)).toEqual(["1"]);
    expect(provider.held).toBe(0);
  });

  it("ends empty when the time is over, with a cursor to go on from", async () => {
    const page = await list("?wait=0.05");
    expect([page.status, page.body]).toEqual([200, { ...EMPTY, next_cursor: expect.any(String) }]);
    await send("1");
    expect(subjectsOf(await list(`?after=${page.body.next_cursor}`))).toEqual(["1"]);
  });

  it.each(["0", "-1", "abc", "", "NaN", "Infinity", "1e1", "0x1f", "5 "])("does not wait for wait=%j", async (wait) => {
    expect((await list(`?wait=${encodeURIComponent(wait)}`)).body).toMatchObject(EMPTY);
  });

  it("consumes nothing", async () => {
    const { answer } = await hold();
    await send("1");
    const page = await answer;
    expect((await list()).body.messages).toEqual(page.body.messages);
    expect((await count()).body.count).toBe(1);
  });

  it("is let go when its client hangs up", async () => {
    const request = http.get(`${provider.url}/api/v1/messages/pending?wait=30`, {
      headers: { Authorization: `Bearer ${bob.key}` },
    });
    request.on("error", () => undefined);
    await vi.waitFor(() => expect(provider.held).toBe(1), { interval: 1 });
    request.destroy();
    await vi.waitFor(() => expect(provider.held).toBe(0), { interval: 1 });
    await send("1");
    expect(subjectsOf(await list("?wait=30"))).toEqual(["1"]);
  });

  it("is woken by a message that another provider on the same directory queues", async () => {
    const beside = await start();
    const { answer } = await hold();
    await api.send(beside.url, alice, api.message("bob", "from beside"));
    expect(subjectsOf(await answer)).toEqual(["from beside"]);
  });

  it("is woken by a message that another process queues", async () => {
    // That one has the real clock.
    time = Date.now();
    const other = await spawnProvider(await bundleProvider(api.scratchDirectory()), dataDirectory);
    const { answer } = await hold();
    await api.send(other.url, alice, api.message("bob", "from another process"));
    expect(subjectsOf(await answer)).toEqual(["from another process"]);
  });
});

describe("closing", () => {
  it("answers held requests with what there is", async () => {
    const requests = [await hold("?wait=30", 1), await hold("?wait=30", 2)];
    await provider.close();
    expect(provider.held).toBe(0);
    for (const { answer } of requests) expect(await answer).toMatchObject({ status: 200, body: EMPTY });
  });

  it("leaves nothing behind that keeps the process alive", async () => {
    const bundle = await bundleProvider(api.scratchDirectory());
    const script = `
      const { startProvider } = await import(${JSON.stringify(pathToFileURL(bundle).href)});
      const provider = await startProvider({ dataDirectory: ${JSON.stringify(dataDirectory)} });
      const headers = { Authorization: ${JSON.stringify(`Bearer ${bob.key}`)} };
      const answer = fetch(provider.url + "/api/v1/messages/pending?wait=30", { headers }).catch(() => undefined);
      while (provider.held === 0) await new Promise((resolve) => setImmediate(resolve));
      await provider.close();
      await answer;
      console.log("closed");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill());
    const ended = once(child, "exit");
    expect(String(await once(child.stdout, "data"))).toBe("closed\n");
    expect(await ended).toEqual([0, null]);
  }, 20_000);
});

it.each(["/messages/pending/count", "/messages/pending?wait=30", "/messages/pending?after=x"])(
  "GET %s is for those with a key",
  async (target) => {
    for (const key of [undefined, `amp_live_sk_${"0".repeat(64)}`]) {
      const answer = await api.call(provider.url, "GET", `/api/v1${target}`, key === undefined ? {} : { key });
      expect([answer.status, answer.body.error]).toEqual([401, "unauthorized"]);
    }
    expect(provider.held).toBe(0);
  },
);
