import * as z from "zod";
import type { Acknowledged } from "../../agent/mailbox.ts";
import { AmpError } from "../../errors.ts";
import { count } from "../../wire/human.ts";
import { ACK_MAX, ACK_SHOWN } from "../../wire/limits.ts";
import { redact } from "../../wire/secrets.ts";
import { shownId } from "../../wire/untrusted.ts";
import { errorText } from "../render.ts";
import { defineTool, type ToolAnswer } from "../tool.ts";

export const ampAck = defineTool({
  name: "amp_ack",
  title: "Acknowledge messages",
  description:
    "Take messages that you have dealt with off the waiting list, by ids or all. Do it after acting or replying, not before. A copy stays on this machine, readable with amp_read. Repeating it is harmless; says which ids were already gone or never known.",
  input: z.strictObject({
    message_ids: z.array(z.string().min(1)).max(ACK_MAX).optional().describe("Ids from amp_inbox"),
    all: z.boolean().optional().describe("Everything that waits, seen or not"),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isAboutMail: true,
  async run(agent, { message_ids = [], all = false }, { signal }) {
    if (all === message_ids.length > 0) throw eitherIdsOrAll(all);
    return ackAnswer(await agent.acknowledge(all ? "all" : message_ids, signal));
  },
});

function ackAnswer(result: Acknowledged): ToolAnswer {
  const few = (ids: readonly string[]) => ids.slice(0, ACK_SHOWN).map(shownId);
  const list = (ids: readonly string[]) =>
    `${few(ids).join(", ")}${ids.length > ACK_SHOWN ? ` and ${ids.length - ACK_SHOWN} more` : ""}`;
  const facts = {
    count: result.acknowledged.length,
    acknowledged: few(result.acknowledged),
    already_gone: few(result.alreadyGone),
    unknown: few(result.unknown),
    not_acknowledged: few(result.failed),
    ...(result.error ? { problem: redact(result.error.message), next: result.error.next } : {}),
  };
  const rows: readonly [string, readonly string[]][] = [
    ["already gone", result.alreadyGone],
    ["unknown, never seen here", result.unknown],
    ["NOT acknowledged", result.failed],
  ];
  const done = result.acknowledged;
  return {
    text: [
      `acknowledged ${count(done.length, "message")}${done.length > 0 ? `: ${list(done)}` : ""}`,
      ...rows.flatMap(([word, ids]) => (ids.length > 0 ? [`${word}: ${list(ids)}`] : [])),
      ...(result.error ? [errorText(result.error)] : []),
    ].join("\n"),
    structured: facts,
    isError: result.error !== undefined,
  };
}

function eitherIdsOrAll(isAll: boolean): AmpError {
  return new AmpError("invalid_argument", {
    message: `Expected either message_ids or all: true, found ${isAll ? "both" : "neither"}.`,
    notDone: "nothing was acknowledged.",
    next: "Give the ids of the messages that you have dealt with.",
    mender: "caller",
  });
}
