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
  if (await agent.needsConfirmation(draft.to)) {
    const text = oneLine(draft.message, 300);
    person.confirm(
      `Send this message to ${oneWord(draft.to, 254)}? Subject: ${quoted(draft.subject, 120)}. Text: ${text}`,
    );
  }
  const repetition = key === undefined ? "automatic" : { key };
  return sentAnswer(await agent.send(draft, { repetition, replyLimit: agent.settings.replyLimit }, signal));
}
