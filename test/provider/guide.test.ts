import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { startProvider } from "../../src/provider/server.ts";
import { generateKeyPair, publicKeyToPem } from "../../src/wire/keys.ts";
import { call, registerAgent, registration, scratchDirectory } from "../support/provider.ts";

let url: string;

beforeEach(async () => {
  const provider = await startProvider({ dataDirectory: scratchDirectory() });
  onTestFinished(() => provider.close());
  url = provider.url;
});

describe("the guide's curl commands", () => {
  it("register with the tenant they show, send, and find the message waiting", async () => {
    const claude = await registerAgent(url, "claude");
    const { publicKey } = await generateKeyPair();
    // "public_key": "'"$(cat public.pem)"'" gives line ends inside a JSON string; the shell strips the last one.
    const pasted = `{
    "tenant": "local",
    "name": "my-agent",
    "public_key": "${publicKeyToPem(publicKey).trim()}",
    "key_algorithm": "Ed25519"
  }`;
    const mine = await call(url, "POST", "/api/v1/register", { body: pasted });
    expect(mine.status).toBe(201);
    expect(mine.body.address).toBe("my-agent@local.aimaestro.local");
    const sent = await call(url, "POST", "/api/v1/route", {
      key: mine.body.api_key,
      body: {
        to: "claude@local.aimaestro.local",
        subject: "Hello",
        payload: { type: "request", message: "Can you help me with something?" },
      },
    });
    expect(sent.status).toBe(200);
    expect(sent.body).toMatchObject({ status: "queued", method: "relay", basis: "queued" });
    const inbox = await call(url, "GET", "/api/v1/messages/pending", { key: claude.key });
    expect(inbox.body.messages.map(({ id }) => id)).toEqual([sent.body.id]);
  });

  it("are told which host is unknown when the guide's example recipient is not there", async () => {
    const mine = await registerAgent(url, "my-agent");
    const body = { to: "claude@macbook.aimaestro.local", subject: "Hello", payload: { type: "request", message: "?" } };
    const answer = await call(url, "POST", "/api/v1/route", { key: mine.key, body });
    expect(answer.status).toBe(404);
    expect(answer.body).toEqual({
      error: "not_found",
      message: "Recipient 'claude' not found and target host 'macbook' is not configured",
    });
  });

  it("find the provider by discovery, at an endpoint that answers", async () => {
    const { body } = await call(url, "GET", "/.well-known/agent-messaging.json");
    expect(body).toEqual({
      version: "AMP01.3",
      endpoint: `${url}/api/v1`,
      provider: "local.aimaestro.local",
      capabilities: ["registration", "local-delivery", "relay-queue", "notify:v1", "notify:longpoll"],
    });
    const info = await call(String(body.endpoint), "GET", "/info");
    const { capabilities } = body;
    expect(info.body).toMatchObject({ provider: "local.aimaestro.local", version: "amp/0.1.3", capabilities });
  });

  it("register with a key that openssl wrote, whatever its line ends", async () => {
    const { keys } = await registerAgent(url, "first");
    const pem = publicKeyToPem(keys.publicKey).replaceAll("\n", "\r\n").trim();
    const body = { ...registration("first", keys), public_key: pem };
    expect((await call(url, "POST", "/api/v1/register", { body })).status).toBe(201);
  });
});

describe("the guide's Python class", () => {
  it("sends, gets, acknowledges one by one, and then finds nothing", async () => {
    const endpoint = `${url}/api/v1`;
    const asker = await registerAgent(url, "asker");
    const helper = await registerAgent(url, "helper");
    for (const subject of ["one", "two", "three"]) {
      const payload = { type: "request", message: subject };
      const body = { to: "helper@local.aimaestro.local", subject, priority: "normal", payload };
      expect((await call(endpoint, "POST", "/route", { key: asker.key, body })).status).toBe(200);
    }
    const got = await call(endpoint, "GET", "/messages/pending?limit=10", { key: helper.key });
    expect(got.body).toMatchObject({ count: 3, remaining: 0 });
    for (const item of got.body.messages) {
      expect(item.envelope.from).toBe("asker@local.aimaestro.local");
      const answer = await call(endpoint, "DELETE", `/messages/pending?id=${item.id}`, { key: helper.key });
      expect([answer.status, answer.body]).toEqual([200, { acknowledged: true }]);
    }
    const after = await call(endpoint, "GET", "/messages/pending?limit=10", { key: helper.key });
    expect(after.body).toEqual({ messages: [], count: 0, remaining: 0, next_cursor: expect.any(String) });
  });

  it("acknowledges a batch, and is told how many of it were waiting", async () => {
    const asker = await registerAgent(url, "asker");
    const body = { to: "asker", subject: "note to self", payload: { type: "request", message: "x" } };
    const first = await call(url, "POST", "/api/v1/route", { key: asker.key, body });
    const second = await call(url, "POST", "/api/v1/route", { key: asker.key, body });
    const ids = [first.body.id, "msg_1_unknown", first.body.id, second.body.id];
    const answer = await call(url, "POST", "/api/v1/messages/pending", { key: asker.key, body: { ids } });
    expect(answer.body).toEqual({ acknowledged: 2 });
    const again = await call(url, "POST", "/api/v1/messages/pending/ack", { key: asker.key, body: { ids } });
    expect(again.body).toEqual({ acknowledged: 0 });
  });
});
