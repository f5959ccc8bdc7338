import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../src/wire/canonical.ts";
import * as keys from "../../src/wire/keys.ts";
import { isAmbiguous, sign, signingInput, verifies, verifyDelivered } from "../../src/wire/signature.ts";

interface TestKey {
  private_seed_hex: string;
  private_pem_pkcs8: string;
  public_pem_spki: string;
  public_raw_hex: string;
  public_spki_der_hex: string;
  fingerprint_raw32: string;
  fingerprint_plugin_der44: string;
}
interface Envelope {
  from: string;
  to: string;
  subject: string;
  priority: string;
  in_reply_to: string | null;
  signature?: string;
}
interface Vector {
  id: string;
  signer: "alice" | "bob";
  envelope: Envelope;
  payload_as_text: string;
  canonical_payload_json: string;
  canonical_string: string;
  signature: string;
}
interface DeliveredForm {
  id: string;
  kind: string;
  envelope: Envelope;
  own_address: string;
  signed_payload: Record<string, unknown>;
  received_payload: Record<string, unknown>;
  sender_public_key: string;
  expect: { recovered_verify: boolean };
}

function read(name: string): string {
  return readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8");
}
const vectors: { keys: Record<"alice" | "bob", TestKey>; vectors: Vector[] } = JSON.parse(read("signing.json"));
const forms: { delivered_forms: DeliveredForm[] } = JSON.parse(read("delivered-forms.json"));

function fieldsOf(envelope: Envelope) {
  const { from, to, subject, priority, in_reply_to: inReplyTo } = envelope;
  return { from, to, subject, priority, inReplyTo };
}

describe.each(vectors.vectors)("signing vector $id", (vector) => {
  const signer = vectors.keys[vector.signer];
  const seed = Buffer.from(signer.private_seed_hex, "hex");
  const publicKey = Buffer.from(signer.public_raw_hex, "hex");
  const fields = fieldsOf(vector.envelope);
  const payload = JSON.parse(vector.payload_as_text);

  it("serialises the payload to the same bytes", () => {
    expect(canonicalJson(payload)).toBe(vector.canonical_payload_json);
  });

  it("builds the same signed text and the same signature", async () => {
    expect(signingInput(fields, canonicalJson(payload))).toBe(vector.canonical_string);
    expect(await sign(fields, canonicalJson(payload), seed)).toBe(vector.signature);
  });

  it("verifies, and only with this priority, this text and this key", () => {
    const other = Buffer.from(vectors.keys[vector.signer === "alice" ? "bob" : "alice"].public_raw_hex, "hex");
    const json = canonicalJson(payload);
    expect(verifies(fields, json, vector.signature, publicKey)).toBe(true);
    expect(
      verifies({ ...fields, priority: fields.priority === "low" ? "high" : "low" }, json, vector.signature, publicKey),
    ).toBe(false);
    expect(verifies(fields, json.replace("{", "{ "), vector.signature, publicKey)).toBe(false);
    expect(verifies(fields, json, vector.signature, other)).toBe(false);
  });
});

describe("two envelopes that share one signed text", () => {
  it("are both recognised as ambiguous where a field beside the subject holds a pipe", () => {
    const plain = { from: "a@x.y.z", to: "b@x.y.z", subject: "Deploy|high", priority: "normal" };
    const twin = { ...plain, subject: "Deploy", priority: "high", inReplyTo: "normal|" };
    expect(signingInput(plain, "{}")).toBe(signingInput(twin, "{}"));
    expect([isAmbiguous(plain), isAmbiguous(twin), isAmbiguous({ ...plain, priority: "bogus" })]).toEqual([
      false,
      true,
      true,
    ]);
  });
});

describe.each(forms.delivered_forms)("delivered form $id ($kind)", (form) => {
  const key = Buffer.from(form.sender_public_key, "hex");
  const fields = fieldsOf(form.envelope);
  const own = [form.own_address, form.own_address.replace(/@.*/, "")];

  it(`is ${form.expect.recovered_verify ? "verified" : "not verified"}, and shown as it was signed`, () => {
    const result = verifyDelivered(fields, form.received_payload, form.envelope.signature, key, own);
    expect(result.verdict === "valid").toBe(form.expect.recovered_verify);
    if (result.verdict === "valid") expect(result.payload).toEqual(form.signed_payload);
  });

  it("does not verify once its text is changed", () => {
    const changed = { ...form.received_payload, message: `${form.received_payload.message}!` };
    expect(verifyDelivered(fields, changed, form.envelope.signature, key, own).verdict).not.toBe("valid");
  });
});

describe("keys", () => {
  const { alice } = vectors.keys;
  const raw = Buffer.from(alice.public_raw_hex, "hex");

  it("are read from every form in the wild, and written as OpenSSL writes them", () => {
    const pem = alice.public_pem_spki;
    const forms = [
      pem,
      pem.trim(),
      pem.replaceAll("\n", "\r\n"),
      pem.replaceAll("\n", "\\n"),
      alice.public_raw_hex,
      raw.toString("base64"),
      Buffer.from(alice.public_spki_der_hex, "hex").toString("base64"),
    ];
    for (const form of forms)
      expect(Buffer.from(keys.parsePublicKey(form) ?? []).toString("hex")).toBe(alice.public_raw_hex);
    expect(keys.publicKeyToPem(raw)).toBe(pem);
    expect(keys.privateKeyToPem(Buffer.from(alice.private_seed_hex, "hex"))).toBe(alice.private_pem_pkcs8);
    expect(Buffer.from(keys.keyPairFromPem(alice.private_pem_pkcs8)?.publicKey ?? []).toString("hex")).toBe(
      alice.public_raw_hex,
    );
  });

  it.each(["verified", "", "not a key", "00", "AAAA"])("%j is no key", (text) => {
    expect(keys.parsePublicKey(text)).toBeUndefined();
  });

  it("have the fingerprint of the providers and that of the plugin", () => {
    expect(keys.fingerprint(raw)).toBe(alice.fingerprint_raw32);
    expect(keys.derFingerprint(raw)).toBe(alice.fingerprint_plugin_der44);
  });
});
