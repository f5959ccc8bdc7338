import { AmpError } from "../../errors.ts";
import { parseJson } from "../../wire/json.ts";
import { MESSAGE_TYPES, PRIORITIES } from "../../wire/message.ts";
import { shownId } from "../../wire/untrusted.ts";
import type { Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

interface Options extends CommonOptions {
  to: string;
  subject: string;
  message: string;
  priority: string;
  type: string;
  replyTo?: string;
  context?: string;
}

export function sendCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs(options, env, output, async (agent) => {
    const sent = await agent.send({
      to: options.to,
      subject: options.subject,
      message: options.message,
      priority: oneOf(PRIORITIES, options.priority, "--priority"),
      type: oneOf(MESSAGE_TYPES, options.type, "--type"),
      inReplyTo: options.replyTo,
      context: options.context === undefined ? undefined : (parseJson(options.context) ?? options.context),
    });
    const { id, status, recipient, note } = sent;
    return {
      lines: [
        `${status}: ${id === undefined ? "(no id)" : shownId(id)} to ${recipient}`,
        ...(note === undefined ? [] : [`Provider's remark: ${note}`]),
      ],
      json: { status, message_id: id ?? null, to: recipient, note: note ?? null },
    };
  });
}

function oneOf<T extends string>(words: readonly T[], given: string, option: string): T {
  const found = words.find((word) => word === given);
  if (found !== undefined) return found;
  throw new AmpError("invalid_argument", {
    message: `${option}: expected one of ${words.join(", ")}; found "${given}".`,
    notDone: "nothing was sent.",
    next: `Give one of these words.`,
    mender: "caller",
  });
}
