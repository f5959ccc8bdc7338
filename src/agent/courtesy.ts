import { AmpError } from "../errors.ts";
import type { StoredMessage } from "../store/messages.ts";
import { parseAddress } from "../wire/address.ts";
import { COURTESY_MAX_CHARS, COURTESY_WINDOW } from "../wire/limits.ts";
import { payloadText } from "../wire/message.ts";

/** One message of an exchange between this agent and another, as far as it matters here. */
interface Turn {
  at: number;
  isOwn: boolean;
  isShort: boolean;
}

/**
 * Stops two agents that only thank each other. A run of short messages without a question or data, in which the
 * writer changed `limit` times within the window, gets no further one.
 *
 * @throws AmpError `loop_stopped`.
 */
export async function checkCourtesy(
  draft: { to: string; message: string; context?: unknown },
  exchanged: () => Promise<{ received: readonly StoredMessage[]; sent: readonly StoredMessage[] }>,
  limit: number,
  now: number,
): Promise<void> {
  if (limit === 0 || !isShort(draft.message, draft.context)) return;
  const { received, sent } = await exchanged();
  const peer = parseAddress(draft.to)?.name;
  const turns = [
    ...received
      .filter(({ message }) => parseAddress(message.envelope.from)?.name === peer)
      .map((one) => turnOf(one, false)),
    ...sent.filter(({ message }) => parseAddress(message.envelope.to)?.name === peer).map((one) => turnOf(one, true)),
  ]
    .filter(({ at }) => now - at < COURTESY_WINDOW)
    .sort((a, b) => b.at - a.at);
  let changes = 0;
  let writer = true;
  for (const turn of turns) {
    if (!turn.isShort) break;
    if (turn.isOwn !== writer) changes += 1;
    writer = turn.isOwn;
  }
  if (changes >= limit) throw loopStopped(changes);
}

function turnOf({ message, receivedAt }: StoredMessage, isOwn: boolean): Turn {
  const { payload } = message.raw;
  const at = isOwn ? Date.parse(message.envelope.timestamp ?? "") || receivedAt : receivedAt;
  return { at, isOwn, isShort: isShort(payloadText(payload), payload.context) };
}

function isShort(text: string, context: unknown): boolean {
  return text.length <= COURTESY_MAX_CHARS && !/[?？؟]/.test(text) && (context === undefined || context === null);
}

function loopStopped(changes: number): AmpError {
  return new AmpError("loop_stopped", {
    message: `You and this agent have answered each other ${changes} times in a row with short messages that ask nothing.`,
    notDone: "this one was not sent.",
    next: "Leave it there: no answer is needed. If something is open, say it in full or ask a question. A person can change the limit with AMP_REPLY_LIMIT (0 for none).",
    mender: "caller",
  });
}
