import { canonicalJson, TooDeepError, TooManyValuesError } from "../wire/canonical.ts";
import { isObject, text } from "../wire/json.ts";
import { ADDRESS_MAX_CHARS } from "../wire/limits.ts";
import { verifies } from "../wire/signature.ts";
import type { Agent, Directory } from "./directory.ts";
import { expiry, newMessageId, type Queue, type QueueItem } from "./queue.ts";
import { findRecipient } from "./recipient.ts";
import { invalidField, missingField, Refusal } from "./refusal.ts";

type Body = Record<string, unknown>;

export interface Sent {
  id: string;
  status: "queued";
  method: "relay";
  /** What the answer proves, in the protocol's words (section 12.2): it waits on disk, and nobody has seen it yet. */
  basis: "queued";
  queued_at: string;
}

/**
 * Answers `POST /route`: the message waits in the recipient's queue, on disk, when this returns. The provider says
 * who sent it and when; an `id`, `from`, `thread_id` or `reply_to` of the client counts for nothing.
 */
export async function send(
  directory: Directory,
  queue: Queue,
  sender: Agent,
  body: Body,
  tenant: string,
  now: number,
): Promise<Sent> {
  const to = readTo(body);
  const item = compose(sender, to, body, now);
  const recipient = await findRecipient(directory, to, tenant);
  await queue.append(recipient.agent_id, item, now);
  return { id: item.id, status: "queued", method: "relay", basis: "queued", queued_at: item.queued_at };
}

function readTo(body: Body): string {
  const to = text(body, "to");
  if (to === undefined) throw missingField("to", "to address is required");
  if (to.length > ADDRESS_MAX_CHARS) throw invalidField("to", `to must be at most ${ADDRESS_MAX_CHARS} characters`);
  return to;
}

function compose(sender: Agent, to: string, body: Body, now: number): QueueItem {
  const subject = text(body, "subject");
  if (subject === undefined) throw missingField("subject", "subject is required");
  const { payload } = body;
  if (!isObject(payload)) throw missingField("payload", "payload is required");
  if (!payload.type || !payload.message) throw invalidField("payload", "payload must have type and message fields");
  const payloadJson = canonical(payload);
  const priority = text(body, "priority") ?? "normal";
  const inReplyTo = text(body, "in_reply_to");
  const signature = body.signature ?? "";
  const fields = { from: sender.address, to, subject, priority, inReplyTo };
  if (signature !== "" && !isSignedBy(sender, fields, payloadJson, signature)) {
    throw new Refusal(403, "invalid_signature", "Message signature failed verification", {
      details: { from: sender.address },
    });
  }
  const id = newMessageId(now);
  const timestamp = new Date(now).toISOString();
  const expiresAt = text(body, "expires_at");
  return {
    id,
    envelope: {
      version: "amp/0.1",
      id,
      from: sender.address,
      to,
      subject,
      priority,
      timestamp,
      signature,
      ...(inReplyTo === undefined ? {} : { in_reply_to: inReplyTo }),
      thread_id: inReplyTo ?? id,
      reply_to: sender.address,
      ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
    },
    payload,
    sender_public_key: sender.public_key,
    queued_at: timestamp,
    expires_at: new Date(expiry(now)).toISOString(),
    delivery_attempts: 0,
  };
}

function isSignedBy(
  sender: Agent,
  fields: Parameters<typeof verifies>[0],
  payloadJson: string,
  signature: unknown,
): boolean {
  const publicKey = Buffer.from(sender.public_key, "hex");
  return typeof signature === "string" && verifies(fields, payloadJson, signature, publicKey);
}

/** Also for unsigned payloads: what is too deep or too wide to be hashed is so for its readers. */
function canonical(payload: Body): string {
  try {
    return canonicalJson(payload);
  } catch (thrown) {
    if (thrown instanceof TooDeepError) throw invalidField("payload", `payload is ${thrown.message}`);
    if (thrown instanceof TooManyValuesError) throw invalidField("payload", `payload has ${thrown.message}`);
    throw thrown;
  }
}
