import { createHash, verify } from "node:crypto";
import { parseAddress, sameAddress } from "./address.ts";
import { TooDeepError, TooManyValuesError } from "./canonical.ts";
import { publicKeyObject, signBytes } from "./keys.ts";
import { CHECKED_PAYLOAD_MAX_CHARS, RECOVERY_MAX_CHARS, RECOVERY_MAX_CHECKS } from "./limits.ts";
import { PRIORITIES } from "./message.ts";
import { candidates } from "./recovery.ts";

/** The envelope fields under a signature. `id`, `timestamp`, `thread_id` and `expires_at` are not. */
export interface SignedFields {
  from: string;
  to: string;
  subject: string;
  /** Default `normal`. */
  priority?: string | undefined;
  /** Default empty. */
  inReplyTo?: string | null | undefined;
}

/**
 * The signed text (protocol 0.1, signature format 1.1): six fields joined by `|`, the last the base64 SHA-256 of the
 * payload's JSON. No escaping, no final newline.
 */
export function signingInput(fields: SignedFields, payloadJson: string): string {
  return joined(fields, createHash("sha256").update(payloadJson, "utf8").digest("base64"));
}

function joined(fields: SignedFields, hash: string): string {
  return [fields.from, fields.to, fields.subject, fields.priority ?? "normal", fields.inReplyTo ?? "", hash].join("|");
}

/** Base64 of the 64-byte Ed25519 signature over `signingInput`. */
export async function sign(fields: SignedFields, payloadJson: string, privateKey: Uint8Array): Promise<string> {
  const bytes = await signBytes(Buffer.from(signingInput(fields, payloadJson), "utf8"), privateKey);
  return Buffer.from(bytes).toString("base64");
}

/**
 * Whether two different envelopes could share this signed text: only then if a field other than the subject holds a
 * `|`, or the priority is none of the four words. Such an envelope is never verified.
 */
export function isAmbiguous(fields: SignedFields): boolean {
  const others = [fields.from, fields.to, fields.inReplyTo ?? ""];
  return (
    others.some((field) => field.includes("|")) || !PRIORITIES.some((word) => word === (fields.priority ?? "normal"))
  );
}

/** Strict: these fields, this payload text, this key. OpenSSL does the checking; it is ten times as fast as script. */
export function verifies(fields: SignedFields, payloadJson: string, signature: string, publicKey: Uint8Array): boolean {
  const key = publicKeyObject(publicKey);
  const bytes = signatureBytes(signature);
  const input = Buffer.from(signingInput(fields, payloadJson), "utf8");
  return key !== undefined && bytes !== undefined && !isAmbiguous(fields) && verify(null, input, key, bytes);
}

/** The 64 bytes of a base64 signature; `Buffer.from` alone would take anything. */
function signatureBytes(signature: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]{86}(?:==)?$/.test(signature)) return undefined;
  const bytes = Buffer.from(signature, "base64");
  return bytes.length === 64 ? bytes : undefined;
}

export type Verification =
  /** `payload` is the one that was signed: what to show. */
  | { verdict: "valid"; payload: Record<string, unknown> }
  | { verdict: "unsigned" }
  /** `too large`: more than is checked for anybody; the signature may be right. */
  | { verdict: "invalid"; reason: "ambiguous" | "malformed" | "mismatch" | "too large" }
  /** Signed by the sender, but for somebody else: a replay. */
  | { verdict: "invalid"; reason: "not for us" };

/**
 * Checks a message as it was delivered. Providers and scripts wrap, re-address and re-shape messages after they were
 * signed; the known changes are undone one after the other until the signature fits. It has to be signed for one of
 * `ownAddresses`, or for another spelling of one: a message to somebody else could be replayed here.
 *
 * The work is bounded for any input, in checks and in bytes hashed.
 */
export function verifyDelivered(
  fields: SignedFields,
  payload: Record<string, unknown>,
  signature: string | null | undefined,
  publicKey: Uint8Array,
  ownAddresses: readonly string[],
): Verification {
  if (signature === undefined || signature === null || signature === "") return { verdict: "unsigned" };
  if (isAmbiguous(fields)) return { verdict: "invalid", reason: "ambiguous" };
  const bytes = signatureBytes(signature);
  const key = publicKeyObject(publicKey);
  if (bytes === undefined || key === undefined) return { verdict: "invalid", reason: "malformed" };
  const isForUs = ownAddresses.some((own) => isSpellingOf(own, fields.to));
  const envelopes = addressings(fields, isForUs ? [fields.to, ...ownAddresses] : ownAddresses);
  let checks = 0;
  let hashed = 0;
  try {
    if (JSON.stringify(payload).length > CHECKED_PAYLOAD_MAX_CHARS) return { verdict: "invalid", reason: "too large" };
    for (const candidate of candidates(payload)) {
      const isFirst = hashed === 0;
      hashed += candidate.json.length;
      if (hashed > RECOVERY_MAX_CHARS) break;
      const hash = createHash("sha256").update(candidate.json, "utf8").digest("base64");
      for (const envelope of envelopes) {
        if (checks++ >= RECOVERY_MAX_CHECKS) break;
        const input = Buffer.from(joined(envelope, hash), "utf8");
        if (verify(null, input, key, bytes)) return { verdict: "valid", payload: candidate.payload };
      }
      const asItCame = Buffer.from(joined(fields, hash), "utf8");
      if (isFirst && !isForUs && verify(null, asItCame, key, bytes))
        return { verdict: "invalid", reason: "not for us" };
    }
  } catch (thrown) {
    if (thrown instanceof TooManyValuesError) return { verdict: "invalid", reason: "too large" };
    // Nested too deeply: for us, or (`RangeError`) for the engine.
    if (!(thrown instanceof TooDeepError || thrown instanceof RangeError)) throw thrown;
    return { verdict: "invalid", reason: "malformed" };
  }
  return { verdict: "invalid", reason: "mismatch" };
}

/** The same name at the same provider: AI Maestro takes its host's name for the tenant, or the bare name, as well. */
function isSpellingOf(own: string, to: string): boolean {
  if (sameAddress(own, to)) return true;
  const [ours, theirs] = [parseAddress(own), parseAddress(to)];
  if (ours === undefined || theirs === undefined || ours.name !== theirs.name) return false;
  return theirs.provider?.includes(".") !== true || theirs.provider === ours.provider;
}

/**
 * The envelopes under which it may have been signed: each recipient as the envelope has the rest; then as the plugin
 * signs a subject, which it writes as a shell would.
 */
function addressings(fields: SignedFields, recipients: readonly string[]): SignedFields[] {
  const subjects = new Set([fields.subject, ...escapedSubjects(fields.subject)]);
  return [...subjects].flatMap((subject) => [...new Set(recipients)].map((to) => ({ ...fields, subject, to })));
}

/** jq's `@tsv`: backslash, tab and line ends written out; then a shell's `read`, which may drop blanks at both ends. */
function escapedSubjects(subject: string): string[] {
  const escaped = subject
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
  return [escaped.replace(/^ +| +$/g, ""), escaped];
}
