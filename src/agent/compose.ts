import { AmpError } from "../errors.ts";
import { parseAddress } from "../wire/address.ts";
import { canonicalJson, hasLoneSurrogate, TooManyValuesError, unportable } from "../wire/canonical.ts";
import { isObject } from "../wire/json.ts";
import { CONTEXT_MAX_BYTES, MESSAGE_MAX_BYTES, PAYLOAD_MAX_VALUES, SUBJECT_MAX_CHARS } from "../wire/limits.ts";
import type { MessageType, Priority } from "../wire/message.ts";
import { sign } from "../wire/signature.ts";
import { oneLine } from "../wire/untrusted.ts";

/** What a caller wants to send; checked here, before anything is signed. */
export interface Draft {
  to: string;
  subject: string;
  message: string;
  type: MessageType;
  priority: Priority;
  context?: unknown;
  inReplyTo?: string | undefined;
}

export interface Composed {
  /** JSON text for `/route`; the payload's bytes in it are the ones that were signed. */
  body: string;
  /** The recipient as the caller meant it, in full where the tenant is known. */
  recipient: string;
  /** For the sent copy; the provider adds the id and the time. */
  envelope: {
    from: string;
    to: string;
    subject: string;
    priority: Priority;
    in_reply_to: string | null;
    signature: string;
  };
  payload: Record<string, unknown>;
}

/**
 * Builds and signs one message. The payload holds exactly `context`, `message` and `type`, keys sorted: the only shape
 * that both AI Maestros, the plugin and the written protocol verify, and that survives AI Maestro's disk.
 *
 * @throws AmpError `invalid_argument`, saying what to change.
 */
export async function compose(draft: Draft, from: string, privateKey: Uint8Array): Promise<Composed> {
  const { sentTo, recipient } = checkedRecipient(draft.to, from);
  checkSubject(draft.subject);
  checkMessage(draft.message);
  checkContext(draft.context);
  checkReply(draft.inReplyTo);
  const payload = { context: draft.context ?? null, message: draft.message, type: draft.type };
  const payloadJson = canonicalJson(payload);
  const fields = { from, to: sentTo, subject: draft.subject, priority: draft.priority, inReplyTo: draft.inReplyTo };
  const signature = await sign(fields, payloadJson, privateKey);
  const head = {
    to: sentTo,
    subject: draft.subject,
    priority: draft.priority,
    ...(draft.inReplyTo === undefined ? {} : { in_reply_to: draft.inReplyTo }),
    signature,
  };
  return {
    body: `${JSON.stringify(head).slice(0, -1)},"payload":${payloadJson}}`,
    recipient,
    envelope: { ...head, from, in_reply_to: draft.inReplyTo ?? null },
    payload,
  };
}

/**
 * The recipient as it goes over the wire. At an AI Maestro an agent of our own tenant is addressed by its bare name:
 * the first version files the full address where nobody ever reads it, and every version takes the name.
 */
function checkedRecipient(to: string, from: string): { sentTo: string; recipient: string } {
  const address = parseAddress(to);
  const own = parseAddress(from);
  if (address === undefined) {
    throw refusedArgument(
      "to",
      `an agent name or address such as bob or bob@acme.aimaestro.local`,
      `"${oneLine(to, 80)}"`,
    );
  }
  const isOwnTenant =
    address.tenant === own?.tenant && address.provider === own?.provider && address.scope.length === 0;
  if (address.provider === undefined) {
    const domain = own?.tenant === undefined ? "" : `@${own.tenant}.${own.provider}`;
    return { sentTo: address.name, recipient: address.name + domain };
  }
  const sentTo = isOwnTenant && address.provider === "aimaestro.local" ? address.name : address.full;
  return { sentTo, recipient: address.full };
}

function checkSubject(subject: string): void {
  if (subject.trim() === "") throw refusedArgument("subject", "a line of text", "an empty one");
  if (subject.length > SUBJECT_MAX_CHARS) {
    throw refusedArgument(
      "subject",
      `at most ${SUBJECT_MAX_CHARS} characters`,
      `${subject.length}; move the rest into message`,
    );
  }
  if (/\p{Cc}/u.test(subject))
    throw refusedArgument(
      "subject",
      "one line without control characters",
      "a newline, tab or other control character",
    );
  if (hasLoneSurrogate(subject)) throw refusedArgument("subject", "well-formed text", "half of a surrogate pair");
}

function checkMessage(message: string): void {
  const bytes = Buffer.byteLength(message, "utf8");
  if (message === "") throw refusedArgument("message", "the text to send", "an empty one");
  if (bytes > MESSAGE_MAX_BYTES) {
    throw refusedArgument(
      "message",
      `at most ${MESSAGE_MAX_BYTES} bytes`,
      `${bytes}; send a summary and say where the whole text is`,
    );
  }
  if (hasLoneSurrogate(message)) throw refusedArgument("message", "well-formed text", "half of a surrogate pair");
}

function checkContext(context: unknown): void {
  if (context === undefined || context === null) return;
  if (!isObject(context))
    throw refusedArgument("context", "a JSON object", Array.isArray(context) ? "an array" : typeof context);
  const problem = unportable(context);
  if (problem) throw refusedArgument("context", "values that every verifier serialises alike", problem);
  const bytes = Buffer.byteLength(contextJson(context), "utf8");
  if (bytes > CONTEXT_MAX_BYTES)
    throw refusedArgument("context", `at most ${CONTEXT_MAX_BYTES} bytes of JSON`, `${bytes}`);
}

function contextJson(context: object): string {
  try {
    // As part of a payload, which has members of its own.
    return canonicalJson({ context, message: "", type: "" });
  } catch (thrown) {
    if (thrown instanceof TooManyValuesError)
      throw refusedArgument("context", `at most ${PAYLOAD_MAX_VALUES} values`, "more; put them into a file");
    throw thrown;
  }
}

function checkReply(inReplyTo: string | undefined): void {
  if (inReplyTo === undefined) return;
  if (inReplyTo === "" || inReplyTo.length > 256 || /[|\p{Cc}\p{Cs}\s]/u.test(inReplyTo)) {
    throw refusedArgument("in_reply_to", "a message id as amp_inbox shows it", `"${oneLine(inReplyTo, 80)}"`);
  }
}

function refusedArgument(parameter: string, expected: string, found: string): AmpError {
  return new AmpError("invalid_argument", {
    message: `${parameter}: expected ${expected}, found ${found}.`,
    notDone: "nothing was sent.",
    next: `Correct ${parameter} and call again.`,
    mender: "caller",
  });
}
