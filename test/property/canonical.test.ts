import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../src/wire/canonical.ts";
import { isObject } from "../../src/wire/json.ts";
import { generateKeyPair } from "../../src/wire/keys.ts";
import { sign, verifies, verifyDelivered } from "../../src/wire/signature.ts";

/** JSON as a parser makes it: an own `__proto__` member is possible, minus zero is not. */
const json = fc.jsonValue({ maxDepth: 4 }).map((value): unknown => JSON.parse(JSON.stringify(value)));
const payloads = fc
  .dictionary(
    fc.oneof(fc.string({ unit: "binary", maxLength: 6 }), fc.integer({ min: 0, max: 5_000_000_000 }).map(String)),
    json,
    { maxKeys: 6 },
  )
  .map((value): unknown => JSON.parse(JSON.stringify(value)));

/** AI Maestro's sorter as it is written there: sort the names, put them into a new object, let the engine print it. */
function reference(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reference);
  if (!isObject(value)) return value;
  const sorted: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) {
    Object.defineProperty(sorted, name, { value: reference(value[name]), enumerable: true });
  }
  return sorted;
}

/** The same members, put in in another order, at every level. */
function shuffled(value: unknown, seed: number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, seed));
  if (!isObject(value)) return value;
  const names = Object.keys(value);
  const turned = [...names.slice(seed % (names.length + 1)), ...names.slice(0, seed % (names.length + 1))].reverse();
  const out: Record<string, unknown> = {};
  for (const name of turned) Object.defineProperty(out, name, { value: shuffled(value[name], seed), enumerable: true });
  return out;
}

describe("canonical JSON", () => {
  it("is what AI Maestro's own sorter prints", () => {
    fc.assert(
      fc.property(payloads, (value) => {
        expect(canonicalJson(value)).toBe(JSON.stringify(reference(value)));
      }),
      { numRuns: 1000 },
    );
  });

  it("does not depend on the order in which members were put in", () => {
    fc.assert(
      fc.property(payloads, fc.nat(20), (value, seed) => {
        expect(canonicalJson(shuffled(value, seed))).toBe(canonicalJson(value));
      }),
      { numRuns: 1000 },
    );
  });

  it("is JSON of the same value, and canonical already", () => {
    fc.assert(
      fc.property(payloads, (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const fieldsOf = fc.record({
  from: word,
  to: word,
  subject: fc.string({ unit: "grapheme", maxLength: 20 }),
  priority: fc.constantFrom("low", "normal", "high", "urgent"),
  inReplyTo: fc.option(word, { nil: undefined }),
});

describe("a signature", () => {
  it("fits what was signed, and nothing that differs in one field, one byte or the key", async () => {
    const [own, other] = [await generateKeyPair(), await generateKeyPair()];
    await fc.assert(
      fc.asyncProperty(fieldsOf, payloads, fc.nat(), async (fields, payload, place) => {
        const text = canonicalJson(payload);
        const signature = await sign(fields, text, own.privateKey);
        expect(verifies(fields, text, signature, own.publicKey)).toBe(true);
        expect(verifies(fields, text, signature, other.publicKey)).toBe(false);
        for (const name of ["from", "to", "subject", "inReplyTo"] as const) {
          expect(verifies({ ...fields, [name]: `${fields[name] ?? ""}x` }, text, signature, own.publicKey)).toBe(false);
        }
        const priority = fields.priority === "low" ? "high" : "low";
        expect(verifies({ ...fields, priority }, text, signature, own.publicKey)).toBe(false);
        expect(verifies(fields, `${text} `, signature, own.publicKey)).toBe(false);
        const bytes = Buffer.from(signature, "base64");
        const at = place % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (place % 8)), at);
        expect(verifies(fields, text, bytes.toString("base64"), own.publicKey)).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it("of any payload is found again in what a provider delivers, whatever the order of its members", async () => {
    const own = await generateKeyPair();
    await fc.assert(
      fc.asyncProperty(fieldsOf, payloads, fc.nat(20), async (fields, payload, seed) => {
        const signature = await sign(fields, canonicalJson(payload), own.privateKey);
        const received = shuffled(payload, seed);
        if (!isObject(received)) return;
        expect(verifyDelivered(fields, received, signature, own.publicKey, [fields.to]).verdict).toBe("valid");
        const changed = { ...received, message: "another" };
        expect(verifyDelivered(fields, changed, signature, own.publicKey, [fields.to]).verdict).toBe("invalid");
      }),
      { numRuns: 100 },
    );
  });

  it("that is any text whatever is never valid and never an exception", async () => {
    const own = await generateKeyPair();
    const texts = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.uint8Array({ minLength: 64, maxLength: 64 }).map((b) => Buffer.from(b).toString("base64")),
    );
    fc.assert(
      fc.property(fieldsOf, texts, fc.uint8Array({ maxLength: 40 }), (fields, signature, key) => {
        expect(verifies(fields, "{}", signature, own.publicKey)).toBe(false);
        expect(verifies(fields, "{}", signature, key)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
