import { describe, expect, it, onTestFinished } from "vitest";
import { generateKeyPair, privateKeyToPem, publicKeyToPem } from "../../src/wire/keys.ts";
import { put } from "../support/agent.ts";
import {
  type AssistantOptions,
  sentId,
  startAssistant,
  startRegistered,
  testHome,
  testProvider,
} from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { type Act, type FakeRequest, startFakeProvider } from "../support/fake-provider.ts";
import type { Consent, Person } from "../support/mcp-clients.ts";

const FAR = { to: "carol@acme.example.com", subject: "Far", message: "Hello there" };
const NEAR = { to: "carol", subject: "Near", message: "Hello here" };

/** A registered bob, and a provider that counts what reaches it. */
async function desk(env: Record<string, string>, options: AssistantOptions = {}, route?: (n: number) => Act) {
  let sends = 0;
  const act = ({ path, method }: FakeRequest): Act => {
    if (method !== "POST" || !path.endsWith("/route"))
      return { act: "answer", status: 200, body: { messages: [], count: 0, remaining: 0 } };
    sends += 1;
    return route?.(sends) ?? { act: "answer", status: 200, body: { id: `msg_1_${sends}`, status: "queued" } };
  };
  const fake = await startFakeProvider(act);
  onTestFinished(() => fake.close());
  const home = options.home ?? testHome();
  const directory = home.at(".agent-messaging", "agents", "bob");
  const keys = await generateKeyPair();
  put(`${directory}/config.json`, {
    agent_name: "bob",
    address: "bob@testorg.aimaestro.local",
    provider: { name: "testorg.aimaestro.local", endpoint: `${fake.url}/api/v1` },
  });
  put(`${directory}/api_key`, "amp_live_sk_0123");
  put(`${directory}/keys/private.pem`, privateKeyToPem(keys.privateKey));
  put(`${directory}/keys/public.pem`, publicKeyToPem(keys.publicKey));
  const bob = await startAssistant(fake.url, { ...options, home, env });
  return { bob, home, url: fake.url, sent: () => sends };
}

function person(consent: Consent): { ask: Person; asked: string[] } {
  const asked: string[] = [];
  return { asked, ask: (question) => (asked.push(question) > 0 ? consent : { action: "cancel" }) };
}

describe.each(["2026", "1.x"] as const)("before a message leaves the tenant, a client of the %s line", (line) => {
  it("asks its person, whose every answer but a clear yes keeps it here", async () => {
    let consent: Consent = { action: "decline" };
    const asked: string[] = [];
    const ask: Person = (question) => {
      asked.push(question);
      return consent;
    };
    const { bob, sent } = await desk({}, { line, person: ask });
    const refusals: Consent[] = [
      { action: "decline" },
      { action: "cancel" },
      { action: "accept", content: { send: false } },
    ];
    for (consent of refusals) {
      const told = await bob.call("amp_send", FAR);
      expect(told.text).toMatch(/declined: .*\nNot done: nothing was sent/);
      expect([told.isError, sent()]).toEqual([true, 0]);
    }
    consent = { action: "accept", content: { send: true } };
    expect((await bob.call("amp_send", FAR)).isError).toBe(false);
    expect([asked.length, sent()]).toEqual([4, 1]);
    for (const words of Object.values(FAR)) expect(asked[0]).toContain(words);
    for (const to of ["carol@local", "carol@local.aimaestro.local"])
      expect((await bob.call("amp_send", { ...NEAR, to })).text).not.toContain("confirmation_needed");
    expect((await bob.call("amp_send", NEAR)).isError).toBe(false);
    expect(asked).toHaveLength(4);
  });

  it("that cannot ask is told how a person allows it, and nothing is sent", async () => {
    const { bob, sent } = await desk({}, { line });
    const told = await bob.call("amp_send", FAR);
    expect(told.isError).toBe(true);
    expect(told.text).toMatch(/confirmation_needed[\s\S]*nothing was sent[\s\S]*AMP_CONFIRM_SEND=never/);
    expect((await bob.call("amp_send", NEAR)).isError).toBe(false);
    expect(sent()).toBe(1);
  });
});

describe("AMP_CONFIRM_SEND", () => {
  it("always asks about every message, also a wrong word there; never about none", async () => {
    for (const word of ["always", "nevr"]) {
      const { ask, asked } = person({ action: "accept", content: { send: true } });
      const { bob, sent } = await desk({ AMP_CONFIRM_SEND: word }, { person: ask });
      await bob.call("amp_send", NEAR);
      expect([asked.length, sent()], word).toEqual([1, 1]);
    }
    const { ask, asked } = person({ action: "decline" });
    const { bob, sent } = await desk({ AMP_CONFIRM_SEND: "never" }, { person: ask });
    expect((await bob.call("amp_send", FAR)).isError).toBe(false);
    expect([asked.length, sent()]).toEqual([0, 1]);
  });

  it("does not ask about a message that could not be sent, and shows what else would leave", async () => {
    const { ask, asked } = person({ action: "decline" });
    const { bob } = await desk({}, { person: ask });
    expect((await bob.call("amp_send", { ...FAR, subject: "a\nb" })).text).toContain("invalid_argument");
    expect(asked).toEqual([]);
    await bob.call("amp_send", { ...FAR, message: "x".repeat(5_000), context: { secret: "plan" } });
    expect(asked[0]).toContain("the beginning of 5000 characters");
    expect(asked[0]).toContain('{"secret":"plan"}');
    expect(asked[0]?.length).toBeLessThan(1_500);
  });
});

describe("a call that is made again", () => {
  it("sends once and tells the same id; other words, or a key of its own, are another message", async () => {
    const { bob, sent } = await desk({});
    const first = sentId(await bob.call("amp_send", NEAR));
    const again = await bob.call("amp_send", NEAR);
    expect(sentId(again)).toBe(first);
    expect(again.text).toMatch(/NOT sent again/);
    expect(again.structured?.not_sent_again).toMatch(/NOT sent again/);
    expect(sent()).toBe(1);
    await bob.call("amp_send", { ...NEAR, message: "Other" });
    const keyed = sentId(await bob.call("amp_send", { ...NEAR, idempotency_key: "k1" }));
    expect(sentId(await bob.call("amp_send", { ...NEAR, idempotency_key: "k1" }))).toBe(keyed);
    expect(sent()).toBe(3);
  });

  it("under a key that stands for another message is refused, and never told as sent", async () => {
    const { bob, sent } = await desk({});
    await bob.call("amp_send", { ...NEAR, idempotency_key: "k1" });
    const told = await bob.call("amp_send", { ...NEAR, to: "dave", idempotency_key: "k1" });
    expect(told.text).toMatch(/invalid_argument: idempotency_key[\s\S]*nothing was sent/);
    expect(sent()).toBe(1);
  });

  it("after a refusal goes out; after an unclear end it does not, at once", async () => {
    const refusals: Record<number, Act> = {
      1: { act: "answer", status: 404, body: { error: "not_found", message: "no such agent" } },
      2: { act: "answer", status: 502, body: { error: "internal_error", message: "the peer is down" } },
      4: { act: "hang-up" },
    };
    const { bob, sent } = await desk(
      {},
      {},
      (n) => refusals[n] ?? { act: "answer", status: 200, body: { id: "msg_1_a", status: "queued" } },
    );
    expect((await bob.call("amp_send", NEAR)).isError).toBe(true);
    expect((await bob.call("amp_send", NEAR)).isError).toBe(true);
    expect((await bob.call("amp_send", NEAR)).isError).toBe(false);
    const other = { ...NEAR, message: "Second" };
    expect((await bob.call("amp_send", other)).text).toContain("outcome_unknown");
    const start = performance.now();
    const again = await bob.call("amp_send", other);
    expect(again.text).toMatch(/outcome_unknown: This same message[\s\S]*it was not sent again/);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(sent()).toBe(4);
    expect((await bob.call("amp_send", { ...other, idempotency_key: "now" })).isError).toBe(false);
  });

  it("in two processes at the same moment is one message, and both tell its id", async () => {
    const { bob, home, url, sent } = await desk({});
    const second = await startAssistant(url, { home, line: "1.x" });
    const told = await Promise.all([bob, second, bob, second].map((one) => one.call("amp_send", NEAR)));
    expect(new Set(told.map(sentId)).size).toBe(1);
    expect(sent()).toBe(1);
  });

  it("by a person on the command line is carried out as often as it is given", async () => {
    const { home, sent } = await desk({});
    for (let i = 0; i < 2; i++)
      expect((await run(["send", FAR.to, FAR.subject, FAR.message], { env: home.env })).code).toBe(0);
    expect(sent()).toBe(2);
  });
});

describe("two agents that only thank each other", () => {
  async function thank(limit: string | undefined, rounds: number) {
    const { url } = await testProvider();
    const env: Record<string, string> = limit === undefined ? {} : { AMP_REPLY_LIMIT: limit };
    const pair = [await startRegistered(url, "alice", { env }), await startRegistered(url, "bob", { env })] as const;
    let stopped = "";
    let count = 0;
    for (; count < rounds && stopped === ""; count++) {
      const [writer, reader] = count % 2 === 0 ? pair : [pair[1], pair[0]];
      const to = count % 2 === 0 ? "bob" : "alice";
      const told = await writer.call("amp_send", { to, subject: "Thanks", message: `Thank you ${count}!` });
      if (told.isError) stopped = told.text;
      else await reader.call("amp_inbox");
    }
    return { pair, url, stopped, count: count - (stopped === "" ? 0 : 1) };
  }

  it("are stopped after as many answers as a person allows, but not with a question, a long text or data", async () => {
    const { pair, stopped, count } = await thank("3", 8);
    expect(count).toBe(3);
    expect(stopped).toMatch(/loop_stopped[\s\S]*was not sent[\s\S]*AMP_REPLY_LIMIT/);
    const [, bob] = pair;
    const thanks = { to: "alice", subject: "Thanks", message: "Thanks again!" };
    expect((await bob.call("amp_send", thanks)).text).toContain("loop_stopped");
    const command = ["send", "alice", "Thanks", "Thanks from a person"];
    expect((await run(command, { env: { ...bob.home.env } })).code).toBe(0);
    for (const more of [{ message: "Is that all?" }, { message: "Done. ".repeat(60) }, { context: { build: 7 } }])
      expect((await bob.call("amp_send", { ...thanks, ...more })).isError).toBe(false);
  });

  it("go on for ever with a limit of 0", async () => {
    expect((await thank("0", 12)).stopped).toBe("");
  });

  it("are stopped after eight by default", async () => {
    expect((await thank(undefined, 12)).count).toBe(8);
  });
});
