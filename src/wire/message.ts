import * as z from "zod";
import { isObject, text } from "./json.ts";

export const PRIORITIES = ["low", "normal", "high", "urgent"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** The protocol's ten message types. Other words are taken on receipt and never sent. */
export const MESSAGE_TYPES = [
  "request",
  "response",
  "notification",
  "update",
  "alert",
  "task",
  "status",
  "handoff",
  "ack",
  "system",
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

const optionalText = z.string().nullish().catch(undefined);

/**
 * An envelope as providers and scripts write it. Only `id` and `from` are asked for: the first AI Maestro sends no
 * version and no thread, the scripts leave out what is empty. Unknown members are kept.
 */
const envelopeSchema = z.looseObject({
  id: z.string().min(1).max(512),
  from: z.string().max(512),
  to: z.string().max(512).catch(""),
  subject: z.string().catch(""),
  priority: z.string().catch("normal"),
  timestamp: optionalText,
  signature: optionalText,
  in_reply_to: optionalText,
  thread_id: optionalText,
  reply_to: optionalText,
  expires_at: optionalText,
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** One message as it was received. `raw` is what arrived, byte order of keys included: it is what was signed. */
export interface Message {
  envelope: Envelope;
  raw: { envelope: Record<string, unknown>; payload: Record<string, unknown> };
  /** As the provider attached it: 64 hex digits, sometimes a PEM, sometimes a word. Not a proof of anything. */
  senderPublicKey: string | undefined;
  /** ISO 8601, when the provider queued it. */
  queuedAt: string | undefined;
  /** ISO 8601, when the provider's queue lets go of it. */
  expiresAt: string | undefined;
}

/** A message from a pending queue's item, or from a message file, which has the same shape. */
export function readMessage(item: unknown): Message | undefined {
  if (!isObject(item) || !isObject(item.envelope)) return undefined;
  const envelope = envelopeSchema.safeParse(withId(item.envelope, item));
  if (!envelope.success) return undefined;
  return {
    envelope: envelope.data,
    raw: { envelope: item.envelope, payload: isObject(item.payload) ? item.payload : {} },
    senderPublicKey: text(item, "sender_public_key"),
    queuedAt: text(item, "queued_at"),
    expiresAt: text(item, "expires_at"),
  };
}

/** Some providers put the id beside the envelope only. */
function withId(envelope: Record<string, unknown>, item: Record<string, unknown>): Record<string, unknown> {
  return typeof envelope.id === "string" ? envelope : { ...envelope, id: item.id };
}

/** The text of a payload; anything that is not text is shown as JSON rather than lost. */
export function payloadText(payload: Record<string, unknown>): string {
  if (typeof payload.message === "string") return payload.message;
  return payload.message === undefined ? "" : JSON.stringify(payload.message);
}

export function payloadType(payload: Record<string, unknown>): string {
  return typeof payload.type === "string" && payload.type !== "" ? payload.type : "notification";
}

/** Unknown priorities are shown as normal; they are never verifiable either. */
export function priorityOf(envelope: Envelope): Priority {
  return PRIORITIES.find((priority) => priority === envelope.priority) ?? "normal";
}

/** `Re: ` once, whatever the subject had. */
export function replySubject(subject: string): string {
  return /^re:/i.test(subject) ? subject : `Re: ${subject}`;
}

/** The text and, below it, whatever else the sender put into the payload, as JSON. Providers' additions are left out. */
export function payloadInFull(payload: Record<string, unknown>): string {
  const { message: _message, type: _type, context, security: _security, ...others } = payload;
  const extras = { ...(context === undefined || context === null ? {} : { context }), ...others };
  const body = payloadText(payload);
  return Object.keys(extras).length === 0 ? body : `${body}\n\n${jsonOrRemark(extras)}`;
}

function jsonOrRemark(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return "(context is nested too deeply to show)";
  }
}
