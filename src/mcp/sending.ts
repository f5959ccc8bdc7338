import type { Agent } from "../agent/agent.ts";
import type { Draft } from "../agent/compose.ts";
import { oneLine, oneWord, quoted } from "../wire/untrusted.ts";
import type { Person } from "./person.ts";
import { sentAnswer } from "./sent-view.ts";
import type { ToolAnswer } from "./tool.ts";

/** What `amp_send` and `amp_reply` share: the person's consent where it is asked for, then once, with care. */
export async function sendWithCare(
  agent: Agent,
  draft: Draft,
  key: string | undefined,
  person: Person,
  signal: AbortSignal,
): Promise<ToolAnswer> {
  const care = {
    repetition: key === undefined ? ("automatic" as const) : { key },
    replyLimit: agent.settings.replyLimit,
  };
  if (await agent.needsConfirmation(draft, care)) person.confirm(question(draft));
  return sentAnswer(await agent.send(draft, care, signal));
}

/** The whole of what is agreed to, or how much of it is not shown. */
function question({ to, subject, message, context }: Draft): string {
  const text = oneLine(message, ASKED_CHARS);
  const rest = message.length > ASKED_CHARS ? ` (the beginning of ${message.length} characters)` : "";
  const data = context === undefined ? "" : ` With data: ${oneLine(JSON.stringify(context), ASKED_CHARS)}`;
  return `Send this message to ${oneWord(to, 254)}? Subject: ${quoted(subject, 256)}. Text${rest}: ${text}${data}`;
}

/** Characters of a text that a person is shown: what a dialog of a host has room for. */
const ASKED_CHARS = 500;
