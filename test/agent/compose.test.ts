import { createHash, verify } from "node:crypto";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { compose, type Draft } from "../../src/agent/compose.ts";
import { generateKeyPair, publicKeyObject } from "../../src/wire/keys.ts";
import { draft, failure, readJson, registeredAgent, scratchRoot, tree } from "../support/agent.ts";
import { startMaestro } from "../support/maestro.ts";

const FROM = "bob@testorg.aimaestro.local";

async function composed(to: string, more: Partial<Draft> = {}, from = FROM) {
  const pair = await generateKeyPair();
  return { pair, ...(await compose(draft(to, more), from, pair.privateKey)) };
}

function nested(depth: number): unknown {
  return depth === 0 ? 1 : { deeper: nested(depth - 1) };
}

/** Checked here with nothing of ours: the text of the protocol, `node:crypto`. */
function isSigned(body: Record<string, unknown>, from: string, payloadJson: string, publicKey: Uint8Array): boolean {
  const hash = createHash("sha256").update(payloadJson, "utf8").digest("base64");
  const text = [from, body.to, body.subject, body.priority, body.in_reply_to ?? "", hash].join("|");
  const key = publicKeyObject(publicKey);
  return (
    key !== undefined && verify(null, Buffer.from(text, "utf8"), key, Buffer.from(String(body.signature), "base64"))
  );
}

describe("what cannot be signed so that everybody verifies it is refused, by the parameter's name:", () => {
  it.each<[string, string, Partial<Draft>]>([
    ["to", "no address", { to: "no address" }],
    ["to", "empty", { to: "" }],
    ["to", "two at signs", { to: "a@b@c.d.e" }],
    ["to", "a bar", { to: "a|b" }],
    ["to", "too long", { to: `${"x".repeat(63)}@${"y.".repeat(120)}z` }],
    ["subject", "empty", { subject: " " }],
    ["subject", "a newline", { subject: "a\nb" }],
    ["subject", "a tab", { subject: "a\tb" }],
    ["subject", "a NUL", { subject: "a\0b" }],
    ["subject", "a C1 control", { subject: "a\u0085b" }],
    ["subject", "257 characters", { subject: "x".repeat(257) }],
    ["subject", "half of a surrogate pair", { subject: "a\ud83d" }],
    ["message", "empty", { message: "" }],
    ["message", "65,537 bytes", { message: "x".repeat(65_537) }],
    ["message", "65,538 bytes in fewer characters", { message: "é".repeat(32_769) }],
    ["message", "half of a surrogate pair", { message: "\udc00" }],
    ["context", "an array", { context: [1] }],
    ["context", "a text", { context: "x" }],
    ["context", "an integer-like key", { context: { "10": 1 } }],
    ["context", "an integer-like key within", { context: { a: [{ "0": 1 }] } }],
    ["context", "an unsafe number", { context: { n: 2 ** 53 } }],
    ["context", "minus zero", { context: { n: -0 } }],
    ["context", "an exponent", { context: { n: 1e-7 } }],
    ["context", "a lone surrogate", { context: { a: "\ud800" } }],
    ["context", "a lone surrogate in a key", { context: { "\udfff": 1 } }],
    ["context", "65 levels", { context: nested(65) }],
    ["context", "more than 256 KiB", { context: { a: "x".repeat(262_144) } }],
    ["in_reply_to", "empty", { inReplyTo: "" }],
    ["in_reply_to", "a bar", { inReplyTo: "msg_1|2" }],
    ["in_reply_to", "a space", { inReplyTo: "msg 1" }],
    ["in_reply_to", "257 characters", { inReplyTo: "x".repeat(257) }],
    ["in_reply_to", "a lone surrogate", { inReplyTo: "msg_\ud800" }],
  ])("%s: %s", async (parameter, _, more) => {
    const pair = await generateKeyPair();
    const error = await failure(compose({ ...draft("alice"), ...more }, FROM, pair.privateKey));
    expect(error).toMatchObject({ code: "invalid_argument", notDone: "nothing was sent.", mender: "caller" });
    expect(error.message.startsWith(`${parameter}: `)).toBe(true);
    expect(error.message.length).toBeLessThan(700);
  });

  it("and what is just within the limits is taken", async () => {
    await composed("alice", { subject: "x".repeat(256), message: "é".repeat(32_768), inReplyTo: "x".repeat(256) });
    await composed("alice", { context: { a: "x".repeat(262_000), n: 2 ** 53 - 1, d: 0.5, s: "🙂", "01": 1 } });
  });
});

describe("the recipient", () => {
  it.each([
    ["alice", "alice", "alice@testorg.aimaestro.local"],
    ["ALICE", "alice", "alice@testorg.aimaestro.local"],
    [" alice ", "alice", "alice@testorg.aimaestro.local"],
    ["alice@testorg.aimaestro.local", "alice", "alice@testorg.aimaestro.local"],
    ["Alice@TestOrg.aimaestro.local", "alice", "alice@testorg.aimaestro.local"],
    ["alice@other.aimaestro.local", "alice@other.aimaestro.local", "alice@other.aimaestro.local"],
    [
      "alice@repo.github.testorg.aimaestro.local",
      "alice@repo.github.testorg.aimaestro.local",
      "alice@repo.github.testorg.aimaestro.local",
    ],
    ["alice@testorg.crabmail.ai", "alice@testorg.crabmail.ai", "alice@testorg.crabmail.ai"],
    ["my_agent", "my_agent", "my_agent@testorg.aimaestro.local"],
  ])("%j goes over the wire as %s and means %s", async (to, sent, recipient) => {
    const result = await composed(to);
    expect([JSON.parse(result.body).to, result.recipient]).toEqual([sent, recipient]);
  });

  it("of our own tenant is written in full at a provider that is no AI Maestro", async () => {
    const { body } = await composed("alice@acme.crabmail.ai", {}, "bob@acme.crabmail.ai");
    expect(JSON.parse(body).to).toBe("alice@acme.crabmail.ai");
  });
});

describe("the signature", () => {
  it("fits the very bytes of the payload in the body, keys sorted at every level", async () => {
    const context = { z: { b: [2, { y: 1, x: null }], a: "ü|\u2028🙂" }, a: true };
    const { pair, body } = await composed("alice", {
      context,
      subject: 'a|b \\ "c"',
      inReplyTo: "msg_1_x",
      priority: "urgent",
    });
    const payload =
      '{"context":{"a":true,"z":{"a":"ü|\u2028🙂","b":[2,{"x":null,"y":1}]}},"message":"Can you help me?","type":"request"}';
    expect(body.endsWith(`,"payload":${payload}}`)).toBe(true);
    expect(isSigned(JSON.parse(body), FROM, payload, pair.publicKey)).toBe(true);
    expect(isSigned({ ...JSON.parse(body), priority: "high" }, FROM, payload, pair.publicKey)).toBe(false);
  });

  it.each(["seed", "head"] as const)(
    "is taken by %s, and verifies for whoever receives it, and in the sent copy",
    async (version) => {
      const root = scratchRoot();
      const maestro = await startMaestro({ version, home: path.dirname(root) });
      onTestFinished(() => maestro.close());
      const bob = await registeredAgent("bob", { root, provider: maestro.url });
      const alice = await registeredAgent("alice", { root, provider: maestro.url });
      const sent = await bob.send(
        draft("alice@testorg.aimaestro.local", { context: { a: "ü", b: 1 }, message: 'Hello |\n"you"\n' }),
      );
      expect(sent.status).toBe(version === "head" ? "delivered" : "queued");
      const publicKey = Buffer.from(
        [...maestro.agents.values()].find(({ name }) => name === "bob")?.publicKeyHex ?? "",
        "hex",
      );
      const { messages } = await alice.waiting();
      const raw = messages[0]?.message.raw;
      expect(raw?.envelope.id).toBe(sent.id);
      const { context, message, type } = { ...raw?.payload };
      expect(isSigned(raw?.envelope ?? {}, FROM, JSON.stringify({ context, message, type }), publicKey)).toBe(true);
      expect((await alice.read([sent.id ?? ""]))[0]?.judgement.verdict).toBe("new-key");
      const folder = path.join(root, "agents", "bob", "messages", "sent");
      const [copy = ""] = tree(folder).filter((file) => file.endsWith(".json"));
      expect(copy).toBe(path.join("alice", `${sent.id}.json`));
      const { envelope, payload } = readJson(folder, copy);
      expect(isSigned(Object(envelope), FROM, JSON.stringify(payload), publicKey)).toBe(true);
    },
  );

  it("that AI Maestro refuses is an error which says that nothing was accepted", async () => {
    const root = scratchRoot();
    const maestro = await startMaestro({ version: "head", home: path.dirname(root) });
    onTestFinished(() => maestro.close());
    const bob = await registeredAgent("bob", { root, provider: maestro.url });
    const error = await failure(bob.send(draft("nobody-there")));
    expect(error).toMatchObject({ code: "recipient_not_found" });
    expect(tree(path.join(root, "agents", "bob", "messages", "sent"))).toEqual([]);
  });
});
