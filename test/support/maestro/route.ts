import { createHash, randomBytes, verify } from "node:crypto";
import { writeToInbox } from "./disk.ts";
import {
  agentNamed,
  authenticate,
  failure,
  isObject,
  type MaestroState,
  type Received,
  type RegisteredAgent,
  type Reply,
  textOf,
} from "./state.ts";

const MAX_BYTES = 1024 * 1024;
const MINUTE = 60_000;
const WEEK = 7 * 24 * 60 * MINUTE;

export function route(state: MaestroState, request: Received): Reply {
  const sender = authenticate(state, request);
  if ("status" in sender) return sender;
  const limit = state.version === "head" ? countRequest(state, sender) : undefined;
  if (limit?.exceeded) return { ...limit.exceeded, headers: limit.headers };
  // Only the announced length counts; a chunked body of any size is taken.
  if (limit && Number(request.headers["content-length"] ?? 0) > MAX_BYTES) {
    return failure(413, "payload_too_large", `Payload exceeds maximum size of ${MAX_BYTES} bytes`);
  }
  const mail = readMail(sender, request.body);
  if ("status" in mail) return mail;
  const reply = state.version === "head" ? deliver(state, mail) : enqueue(state, mail);
  return reply.status === 200 && limit ? { ...reply, headers: limit.headers } : reply;
}

interface Mail {
  sender: RegisteredAgent;
  to: string;
  subject: string;
  priority: string;
  inReplyTo: string | undefined;
  expiresAt: string | undefined;
  payload: Record<string, unknown>;
  signature: string | undefined;
}

/** Everything else a sender may write (`id`, `from`, `thread_id`, `options`) is ignored. */
function readMail(sender: RegisteredAgent, body: unknown): Mail | Reply {
  const fields = isObject(body) ? body : {};
  const { payload } = fields;
  const to = textOf(fields.to);
  const subject = textOf(fields.subject);
  if (to === undefined) return failure(400, "missing_field", "to address is required", { field: "to" });
  if (subject === undefined) return failure(400, "missing_field", "subject is required", { field: "subject" });
  if (!isObject(payload)) return failure(400, "missing_field", "payload is required", { field: "payload" });
  if (!payload.type || !payload.message) {
    return failure(400, "invalid_field", "payload must have type and message fields", { field: "payload" });
  }
  const priority = textOf(fields.priority) ?? "normal";
  const [inReplyTo, expiresAt] = [textOf(fields.in_reply_to), textOf(fields.expires_at)];
  return { sender, to, subject, priority, inReplyTo, expiresAt, payload, signature: textOf(fields.signature) };
}

interface Target {
  /** As it was written. */
  name: string;
  /** The label before the provider; none in a bare name or a domain of less than three labels. */
  host: string | undefined;
  /** The last two labels, where there are three or more. */
  provider: string | undefined;
}

function parseTarget(to: string): Target {
  const [name = "", domain = ""] = to.split("@");
  const labels = domain.split(".");
  if (labels.length < 3) return { name, host: undefined, provider: undefined };
  return { name, host: labels.at(-3), provider: labels.slice(-2).join(".") };
}

function isExternal({ provider }: Target): boolean {
  return provider !== undefined && provider !== "aimaestro.local";
}

// ---- HEAD: into the inbox on the provider's disk, never into the queue ----

function deliver(state: MaestroState, mail: Mail): Reply {
  const { sender } = mail;
  if (mail.signature !== undefined && !isSignedBySender(mail)) {
    const details = { from: sender.address };
    return failure(403, "invalid_signature", "Message signature failed verification", { details });
  }
  const target = parseTarget(mail.to);
  if (isExternal(target)) {
    const message = `Recipient is on external provider "${target.provider}". Send directly to that provider using its route_url from your registration.`;
    return failure(422, "external_provider", message);
  }
  const name = target.name.toLowerCase();
  const { host } = target;
  // Compared as written: an organization in capitals is another host.
  if (host !== undefined && ![state.hostId, "local", state.organization].includes(host)) {
    return failure(404, "not_found", `Recipient '${name}' not found and target host '${host}' is not configured`);
  }
  const recipient = agentNamed(state, name) ?? state.agents.get(name) ?? agentEndingWith(state, name);
  if (!recipient) return failure(404, "not_found", `Recipient '${name}' not found on any host`);
  const id = messageId();
  const now = new Date().toISOString();
  writeToInbox(state.home, recipient.id, sender.address, inboxFile(mail, id, now), id);
  return { status: 200, body: { id, status: "delivered", method: "local", delivered_at: now } };
}

/** The last segment of a longer name is taken for the whole: `suffix` reaches `part-suffix`. */
function agentEndingWith(state: MaestroState, name: string): RegisteredAgent | undefined {
  return [...state.agents.values()].find((agent) => agent.name.split(/[-_]/).at(-1) === name);
}

/** Of the payload only these three are kept, and what was absent is null: no longer the bytes that were signed. */
function inboxFile(mail: Mail, id: string, now: string) {
  const { sender, payload } = mail;
  return {
    envelope: {
      version: "amp/0.1",
      id,
      from: sender.address,
      to: mail.to,
      subject: mail.subject,
      priority: mail.priority,
      timestamp: now,
      thread_id: mail.inReplyTo ?? id,
      in_reply_to: mail.inReplyTo ?? null,
      reply_to: sender.address,
      expires_at: mail.expiresAt ?? null,
      signature: mail.signature ?? null,
    },
    payload: { type: payload.type, message: payload.message, context: payload.context ?? null },
    metadata: { status: "unread", queued_at: now, delivery_attempts: 1 },
    local: { received_at: new Date().toISOString(), delivery_method: "local", status: "unread" },
    sender_public_key: sender.publicKeyHex,
  };
}

function isSignedBySender({ sender, to, subject, priority, inReplyTo, payload, signature }: Mail): boolean {
  const hash = createHash("sha256")
    .update(JSON.stringify(sortKeys(payload)))
    .digest("base64");
  const text = [sender.address, to, subject, priority, inReplyTo ?? "", hash].join("|");
  return verify(null, Buffer.from(text), sender.publicKey, Buffer.from(signature ?? "", "base64"));
}

/** Into a plain object, as AI Maestro does: keys that look like numbers come first again. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  const sorted: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) sorted[key] = sortKeys(value[key]);
  return sorted;
}

/** A fixed window for each agent, from its first request on. Refused requests count; `Retry-After` is never sent. */
function countRequest(state: MaestroState, agent: RegisteredAgent) {
  const now = Date.now();
  const known = state.rates.get(agent.id);
  const rate = known && now < known.began + MINUTE ? known : { began: now, count: 0 };
  rate.count += 1;
  state.rates.set(agent.id, rate);
  const headers = {
    "x-ratelimit-limit": String(state.rateLimit),
    "x-ratelimit-remaining": String(Math.max(0, state.rateLimit - rate.count)),
    "x-ratelimit-reset": String(Math.ceil((rate.began + MINUTE) / 1000)),
  };
  const message = `Rate limit exceeded: ${state.rateLimit} requests per minute`;
  return { headers, exceeded: rate.count > state.rateLimit ? failure(429, "rate_limited", message) : undefined };
}

// ---- SEED: into a queue, which is the recipient's only where the address is not the one that was registered ----

function enqueue(state: MaestroState, mail: Mail): Reply {
  const target = parseTarget(mail.to);
  if (isExternal(target)) {
    const message = `Federation to external provider "${target.provider}" is not yet supported. Use agentname@hostid.aimaestro.local for mesh routing.`;
    return failure(403, "forbidden", message);
  }
  const { host, name } = target;
  const isLocal = host === undefined || host === state.hostId || host === "local";
  const id = messageId();
  const now = new Date();
  const queue = isLocal ? (agentNamed(state, name.toLowerCase())?.id ?? name) : `${name}@${host}`;
  state.relay.set(queue, [...(state.relay.get(queue) ?? []), queued(mail, id, now)]);
  const body = { id, status: "queued", method: "relay", queued_at: now.toISOString() };
  const note = `Host '${host}' not found in mesh, queued for later delivery`;
  return { status: 200, body: isLocal ? body : { ...body, note } };
}

/** Any signature is taken. `from` is the short address, whatever was registered. */
function queued(mail: Mail, id: string, now: Date) {
  const timestamp = now.toISOString();
  return {
    id,
    envelope: {
      id,
      from: mail.sender.shortAddress,
      to: mail.to,
      subject: mail.subject,
      priority: mail.priority,
      timestamp,
      signature: mail.signature ?? "",
      ...(mail.inReplyTo !== undefined && { in_reply_to: mail.inReplyTo }),
    },
    payload: mail.payload,
    sender_public_key: mail.sender.publicKeyHex,
    queued_at: timestamp,
    expires_at: new Date(now.getTime() + WEEK).toISOString(),
    delivery_attempts: 0,
  };
}

function messageId(): string {
  const tail = BigInt(`0x${randomBytes(8).toString("hex")}`)
    .toString(36)
    .padStart(7, "0")
    .slice(-7);
  return `msg_${Date.now()}_${tail}`;
}
