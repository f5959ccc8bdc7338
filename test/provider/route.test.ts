import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import * as api from "../support/provider.ts";

let time: number;
let provider: Provider;
let alice: api.TestAgent;
let bob: api.TestAgent;

beforeEach(async () => {
  time = Date.UTC(2030, 0, 1);
  provider = await startProvider({ dataDirectory: api.scratchDirectory(), tenant: "acme", now: () => time });
  onTestFinished(() => provider.close());
  alice = await api.registerAgent(provider.url, "alice", { tenant: "acme" });
  bob = await api.registerAgent(provider.url, "part-bob", { tenant: "acme" });
});

describe("a recipient", () => {
  it.each([
    "part-bob",
    "PART-BOB",
    "part-bob@local",
    "part-bob@local.aimaestro.local",
    "part-bob@acme.aimaestro.local",
    "Part-Bob@ACME.AImaestro.Local",
  ])("is found as %s", async (to) => {
    expect((await api.send(provider.url, alice, api.message(to))).status).toBe(200);
    const [item] = (await api.pending(provider.url, bob)).body.messages;
    expect(item?.envelope.to).toBe(to);
  });

  it.each([
    ["bob", "Recipient 'bob' not found on any host"],
    ["part", "Recipient 'part' not found on any host"],
    ["part-bob@other.acme.aimaestro.local", "Recipient 'part-bob' not found on any host"],
    ["part-bob@macbook.aimaestro.local", "Recipient 'part-bob' not found and target host 'macbook' is not configured"],
    ["part-bob@macbook", "Recipient 'part-bob' not found and target host 'macbook' is not configured"],
    ["../part-bob", "Recipient '../part-bob' not found on any host"],
    ["a b@c", "Recipient 'a b@c' not found on any host"],
  ])("is never guessed: %s", async (to, message) => {
    const answer = await api.send(provider.url, alice, api.message(to));
    expect([answer.status, answer.body]).toEqual([404, { error: "not_found", message }]);
    expect((await api.pending(provider.url, bob)).body.count).toBe(0);
  });

  it.each(["part-bob@crabmail.ai", "part-bob@acme.crabmail.ai"])("of another provider is refused: %s", async (to) => {
    const answer = await api.send(provider.url, alice, api.message(to));
    expect([answer.status, answer.body.error]).toEqual([422, "external_provider"]);
  });

  it("with a scope is found by its whole address and by its short one", async () => {
    const more = { scope: { platform: "GitHub", repo: "MyRepo" } };
    const scoped = await api.registerAgent(provider.url, "scoped", { tenant: "acme", more });
    expect(scoped.address).toBe("scoped@myrepo.github.acme.aimaestro.local");
    for (const to of [scoped.address, "scoped@acme.aimaestro.local", "scoped"]) {
      expect((await api.send(provider.url, alice, api.message(to))).status, to).toBe(200);
    }
    const signed = await api.signed(scoped, { to: "alice", subject: "s", payload: { type: "request", message: "m" } });
    expect((await api.send(provider.url, scoped, signed)).status).toBe(200);
    const [item] = (await api.pending(provider.url, alice)).body.messages;
    expect(item?.envelope.from).toBe(scoped.address);
  });
});

describe("a sender", () => {
  it("is refused when the signature is of another text, and nothing is queued", async () => {
    const payload = { type: "request", message: "m" };
    const body = await api.signed(alice, { to: "part-bob", subject: "s", payload });
    for (const changed of [{ subject: "t" }, { to: "part-bob@local" }, { payload: { ...payload, message: "n" } }]) {
      const answer = await api.send(provider.url, alice, { ...body, ...changed });
      expect([answer.status, answer.body]).toEqual([
        403,
        {
          error: "invalid_signature",
          message: "Message signature failed verification",
          details: { from: alice.address },
        },
      ]);
    }
    for (const signature of [5, ["x"], { a: 1 }, true]) {
      expect((await api.send(provider.url, alice, { ...body, signature })).status).toBe(403);
    }
    expect((await api.pending(provider.url, bob)).body.count).toBe(0);
  });

  it("cannot be spoofed by a header that AI Maestro trusts", async () => {
    for (const from of ["local", "acme", "127.0.0.1", ""]) {
      const answer = await api.call(provider.url, "POST", "/api/v1/route", {
        headers: { "X-Forwarded-From": from },
        body: { ...api.message("part-bob"), from: alice.address },
      });
      expect([answer.status, answer.body.error]).toEqual([401, "unauthorized"]);
    }
  });

  it("is stopped at the 61st message of a minute, told when to come back, and then let in", async () => {
    const first = await api.send(provider.url, alice, api.message("part-bob"));
    const reset = String(Math.ceil((time + 60_000) / 1000));
    expect(rateHeaders(first)).toEqual(["60", "59", reset, null]);
    time += 15_500;
    for (let sent = 2; sent <= 60; sent++) await api.send(provider.url, alice, api.message("part-bob"));
    const refused = await api.send(provider.url, alice, api.message("part-bob"));
    expect(refused.status).toBe(429);
    expect(refused.body).toEqual({ error: "rate_limited", message: "Rate limit exceeded: 60 requests per minute" });
    expect(rateHeaders(refused)).toEqual(["60", "0", reset, "45"]);
    expect((await api.send(provider.url, bob, api.message("alice"))).status).toBe(200);
    expect((await api.pending(provider.url, alice)).status).toBe(200);
    time += 44_500;
    expect(rateHeaders(await api.send(provider.url, alice, api.message("part-bob")))[1]).toBe("59");
  });
});

function rateHeaders({ headers }: api.Answer): (string | null)[] {
  return ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"].map((name) =>
    headers.get(name),
  );
}
