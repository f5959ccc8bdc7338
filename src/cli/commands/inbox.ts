import type { Agent, ReadMessage } from "../../agent/agent.ts";
import { unknownMessage } from "../../agent/agent.ts";
import { inboxPage } from "../../agent/inbox.ts";
import { AmpError } from "../../errors.ts";
import { age, count, size } from "../../wire/human.ts";
import { payloadInFull } from "../../wire/message.ts";
import { redact } from "../../wire/secrets.ts";
import { oneLine, quoted, visible } from "../../wire/untrusted.ts";
import type { Answer, Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

interface Options extends CommonOptions {
  command: string;
  ids: readonly string[];
  limit: string;
}

export function inboxCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs(options, env, output, (agent) => {
    switch (options.command) {
      case "list":
        return list(agent, options);
      case "read":
        return read(agent, needIds(options));
      case "ack":
        return acknowledge(agent, needIds(options));
      case "ack-all":
        return acknowledge(agent, "all");
      default:
        throw usage(`inbox: expected list, read, ack or ack-all, found "${oneLine(options.command, 40)}".`);
    }
  });
}

function needIds({ command, ids }: Options): readonly string[] {
  if (ids.length === 0) throw usage(`inbox ${command}: expected a message id, found none.`);
  return ids;
}

function usage(message: string): AmpError {
  return new AmpError("invalid_argument", {
    message,
    notDone: "nothing was changed.",
    next: "See amp-mcp inbox --help.",
    mender: "caller",
  });
}

async function list(agent: Agent, { limit, json = false }: Options): Promise<Answer> {
  if (!/^[1-9]\d{0,3}$/.test(limit))
    throw usage(`--limit: expected a number from 1 to 9999, found "${oneLine(limit, 20)}".`);
  const page = await inboxPage(agent, { limit: Number(limit) });
  const { offline, messages } = page.waiting;
  // A script that reads JSON is nobody who was told.
  if (!json) await agent.noteTold(messages.map(({ message }) => message.envelope.id));
  const now = Date.now();
  const rows = page.entries.map((entry) => {
    const kind = entry.priority === "normal" ? entry.type : `${entry.priority} ${entry.type}`;
    const facts = `${kind}, ${age(now - Date.parse(entry.received_at))}, ${size(entry.size)}, ${entry.signature}`;
    return `${entry.id}\n  From:    ${entry.from}\n  Subject: ${quoted(entry.subject, 80)}\n  ${facts}`;
  });
  const hidden = page.total - page.entries.length;
  return {
    lines: [
      page.total === 0
        ? "No pending messages."
        : `${count(page.total, "pending message")}${page.urgent > 0 ? `, ${page.urgent} urgent` : ""}`,
      ...(offline
        ? [`The provider could not be asked: ${redact(offline.message)} Shown is what this machine knows.`]
        : []),
      ...rows,
      ...(hidden > 0 ? [`${hidden} more; see --limit.`] : []),
    ],
    json: {
      pending: page.total,
      urgent: page.urgent,
      messages: page.entries,
      more: hidden,
      offline: offline?.message ?? null,
    },
    isFailure: offline !== undefined,
  };
}

async function read(agent: Agent, ids: readonly string[]): Promise<Answer> {
  const found = await agent.read(ids);
  const missing = ids.find((_id, i) => found[i] === undefined);
  if (missing !== undefined) throw unknownMessage(missing);
  const messages = found.filter((message) => message !== undefined);
  return { lines: messages.flatMap(messageLines), json: { messages: messages.map(messageJson) } };
}

/** For a terminal: what could move its cursor or hide text is written out. */
function messageLines({ stored, judgement, flags }: ReadMessage): string[] {
  const { envelope } = stored.message;
  const facts: readonly (readonly [string, string | null | undefined])[] = [
    ["Message", envelope.id],
    ["From", envelope.from],
    ["To", envelope.to],
    ["Subject", envelope.subject],
    ["Priority", envelope.priority],
    ["Sent", envelope.timestamp],
    ["In reply to", envelope.in_reply_to],
    ["Signature", `${judgement.verdict}${judgement.remarks.length > 0 ? ` (${judgement.remarks.join("; ")})` : ""}`],
    ["Warning", judgement.verdict === "MISMATCH" ? "do not act on this message" : ""],
    ["Flags", flags.join(", ")],
  ];
  return [
    ...facts.flatMap(([name, value]) => (value ? [`${`${name}:`.padEnd(13)}${oneLine(value, 300)}`] : [])),
    "",
    visible(payloadInFull(judgement.payload)),
    "",
  ];
}

function messageJson({ stored, judgement, flags }: ReadMessage): Record<string, unknown> {
  const { envelope } = stored.message;
  return {
    id: envelope.id,
    status: stored.status,
    signature: judgement.verdict,
    remarks: judgement.remarks,
    flags,
    envelope,
    payload: judgement.payload,
  };
}

async function acknowledge(agent: Agent, ids: readonly string[] | "all"): Promise<Answer> {
  const result = await agent.acknowledge(ids);
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["Already gone", result.alreadyGone],
    ["Unknown", result.unknown],
    ["NOT acknowledged", result.failed],
  ];
  return {
    lines: [
      `Acknowledged ${count(result.acknowledged.length, "message")}.`,
      ...rows.flatMap(([word, list]) =>
        list.length > 0 ? [`${word}: ${list.map((id) => oneLine(id, 128)).join(", ")}`] : [],
      ),
      ...(result.error ? [redact(result.error.describe())] : []),
    ],
    json: {
      acknowledged: result.acknowledged,
      already_gone: result.alreadyGone,
      unknown: result.unknown,
      not_acknowledged: result.failed,
      problem: result.error?.message ?? null,
    },
    isFailure: result.error !== undefined || result.unknown.length > 0,
  };
}
