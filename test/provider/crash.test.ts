import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { generateKeyPair } from "../../src/wire/keys.ts";
import * as api from "../support/provider.ts";
import { bundleProvider, spawnProvider } from "../support/provider-process.ts";

let dataDirectory: string;
let bundle: string;

beforeEach(async () => {
  const directory = api.scratchDirectory();
  dataDirectory = path.join(directory, "data");
  bundle = await bundleProvider(directory);
});

describe("kill -9", () => {
  it("right after answers loses no registration and no message, and doubles none", async () => {
    const expected: string[] = [];
    let provider = await spawnProvider(bundle, dataDirectory);
    const alice = await api.registerAgent(provider.url, "alice");
    await provider.kill();
    for (let round = 0; round < 3; round++) {
      provider = await spawnProvider(bundle, dataDirectory);
      const bob = await api.registerAgent(provider.url, `bob-${round}`);
      for (let number = 0; number < 5; number++) {
        const sent = await api.send(provider.url, bob, api.message("alice", `${round}.${number}`));
        expected.push(sent.body.id);
      }
      const acked = expected.shift();
      await api.call(provider.url, "DELETE", `/api/v1/messages/pending?id=${acked}`, { key: alice.key });
      await provider.kill();
    }
    provider = await spawnProvider(bundle, dataDirectory);
    const waiting = await api.pending(provider.url, alice, "?limit=100");
    expect(waiting.body.messages.map(({ id }) => id)).toEqual(expected);
  });

  it("in the middle of many sends leaves whole messages only: each answered one, and no half one", async () => {
    const first = await spawnProvider(bundle, dataDirectory);
    const alice = await api.registerAgent(first.url, "alice");
    const answered: string[] = [];
    const senders = Array.from({ length: 8 }, async () => {
      for (;;) {
        const sent = await api.send(first.url, alice, api.message("alice")).catch(() => undefined);
        if (!sent) return;
        answered.push(sent.body.id);
        if (answered.length === 25) await first.kill();
      }
    });
    await Promise.all(senders);
    writeFileSync(path.join(dataDirectory, "tmp", "left-over.json"), '{"id":"half');
    const second = await spawnProvider(bundle, dataDirectory);
    const page = await api.pending(second.url, alice, "?limit=100");
    const ids = page.body.messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(answered));
    expect(page.body.remaining).toBe(0);
    expect(readdirSync(path.join(dataDirectory, "queue", alice.id))).toHaveLength(ids.length);
  });

  it.each([
    ["its id", ["agent-ids"]],
    ["its id and its key", ["agent-ids", "public-keys"]],
  ])("of a registration that had only %s can be repeated", async (_, made) => {
    const provider = await spawnProvider(bundle, dataDirectory);
    const keys = await generateKeyPair();
    const agent_id = "11111111-2222-4333-8444-555555555555";
    const public_key = Buffer.from(keys.publicKey).toString("hex");
    const address = "half@local.aimaestro.local";
    const record = { name: "half", agent_id, address, short_address: address, scope: [], public_key };
    const rest = { fingerprint: "SHA256:x", alias: "half", delivery: {}, registered_at: "2030-01-01T00:00:00.000Z" };
    const files = { "agent-ids": `${agent_id}.json`, "public-keys": `${public_key}.0.json` };
    for (const [folder, file] of Object.entries(files)) {
      if (made.includes(folder)) {
        writeFileSync(path.join(dataDirectory, folder, file), JSON.stringify({ ...record, ...rest }));
      }
    }
    const again = await api.registerAgent(provider.url, "half", { keys, more: { agent_id } });
    expect(again.id).toBe(agent_id);
    expect((await api.pending(provider.url, again)).status).toBe(200);
  });
});

describe("two providers on one directory", () => {
  it("give a contested name to exactly one, and leave the losers' keys free for other names", async () => {
    const [one, two] = await Promise.all([spawnProvider(bundle, dataDirectory), spawnProvider(bundle, dataDirectory)]);
    const keys = await Promise.all(Array.from({ length: 12 }, () => generateKeyPair()));
    const answers = await Promise.all(
      keys.map((pair, index) =>
        api.call(index % 2 ? one.url : two.url, "POST", "/api/v1/register", {
          body: api.registration("contested", pair),
        }),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 11 }, () => 409)]);
    const losers = keys.filter((_, index) => answers[index]?.status === 409);
    for (const [index, pair] of losers.entries()) {
      await api.registerAgent(index % 2 ? one.url : two.url, `loser-${index}`, { keys: pair });
    }
  });

  it("give one key to exactly one of several names", async () => {
    const [one, two] = await Promise.all([spawnProvider(bundle, dataDirectory), spawnProvider(bundle, dataDirectory)]);
    const keys = await generateKeyPair();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        api.call(index % 2 ? one.url : two.url, "POST", "/api/v1/register", {
          body: api.registration(`name-${index}`, keys),
        }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.error === "key_already_registered")).toHaveLength(11);
  });

  it("know each other's agents and messages at once, and acknowledge each message once", async () => {
    const [one, two] = await Promise.all([spawnProvider(bundle, dataDirectory), spawnProvider(bundle, dataDirectory)]);
    const alice = await api.registerAgent(one.url, "alice");
    const { id } = (await api.send(two.url, alice, api.message("alice"))).body;
    expect((await api.pending(one.url, alice)).body.messages.map((item) => item.id)).toEqual([id]);
    const acks = await Promise.all(
      [one.url, two.url, one.url, two.url].map((url) =>
        api.call(url, "DELETE", `/api/v1/messages/pending?id=${id}`, { key: alice.key }),
      ),
    );
    expect(acks.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404]);
  });
});
