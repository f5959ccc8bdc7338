import { createHash, type KeyObject, verify } from "node:crypto";
import { canonicalJson, TooDeepError } from "./canonical.ts";
import { publicKeyObject, signBytes } from "./keys.ts";
import { RECOVERY_MAX_CHECKS } from "./limits.ts";
import { PRIORITIES } from "./message.ts";
import { payloadVariants } from "./recovery.ts";

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
  const hash = createHash("sha256").update(payloadJson, "utf8").digest("base64");
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
  return key !== undefined && bytes !== undefined && !isAmbiguous(fields) && check(fields, payloadJson, bytes, key);
}

function check(fields: SignedFields, payloadJson: string, signature: Uint8Array, key: KeyObject): boolean {
  return verify(null, Buffer.from(signingInput(fields, payloadJson), "utf8"), key, signature);
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
  | { verdict: "invalid"; reason: "ambiguous" | "malformed" | "mismatch" };

/**
 * Checks a message as it was delivered. Providers and scripts wrap, re-address and re-shape messages after they were
 * signed; the known changes are undone one after the other until the signature fits. Apart from the address in the
 * envelope only `ownAddresses` are tried as recipient, or a message to somebody else could be replayed here.
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
  const recipients = [...new Set([fields.to, ...ownAddresses])];
  let checks = 0;
  try {
    for (const variant of payloadVariants(payload)) {
      for (const json of new Set([canonicalJson(variant), canonicalJson(variant, "received")])) {
        for (const to of recipients) {
          if (checks++ >= RECOVERY_MAX_CHECKS) return { verdict: "invalid", reason: "mismatch" };
          if (check({ ...fields, to }, json, bytes, key)) return { verdict: "valid", payload: variant };
        }
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof TooDeepError)) throw thrown;
    return { verdict: "invalid", reason: "malformed" };
  }
  return { verdict: "invalid", reason: "mismatch" };
}
