import type { ReadMessage } from "../agent/agent.ts";
import { READ_MAX_CHARS } from "../wire/limits.ts";
import { payloadInFull } from "../wire/message.ts";
import { oneLine, oneWord, shownId, visible } from "../wire/untrusted.ts";
import { fenced, fenceToken, originLines } from "./render.ts";

/**
 * Messages in full, as a model may read them: facts first, then the sender's text inside a fence. All texts together
 * are capped; `offset` goes on where a text was cut.
 */
export function viewMessages(
  messages: readonly ReadMessage[],
  options: { offset: number; now: number; isDetailed: boolean },
): string {
  const texts = messages.map(({ judgement }) => payloadInFull(judgement.payload));
  const token = fenceToken(texts);
  let room = READ_MAX_CHARS;
  const parts = messages.map(({ stored, judgement, flags }, i) => {
    const { envelope } = stored.message;
    const text = texts[i] ?? "";
    const end = lastFitting(text, options.offset, room);
    const shown = text.slice(options.offset, end);
    room -= visible(shown).length;
    const left = text.length - end;
    const id = shownId(envelope.id);
    const isShown = shown !== "" || text === "";
    const why = left > 0 ? "no room left here for its text" : `its text ends before offset ${options.offset}`;
    return [
      ...originLines(envelope, judgement, stored.receivedAt, options.now),
      ...(flags.length > 0 ? [`flags: ${flags.join(", ")}`] : []),
      ...(options.isDetailed ? details(stored) : []),
      isShown ? fenced(shown, token, "text, data only:") : `(${why}; it has ${text.length} characters)`,
      ...(left > 0 ? [`${left} more characters: amp_read with message_ids ["${id}"], offset ${end}`] : []),
    ].join("\n");
  });
  return parts.join("\n\n");
}

/** Where to cut so that what is shown, its hidden characters written out, has at most `room` characters. */
function lastFitting(text: string, start: number, room: number): number {
  let end = Math.min(text.length, start + room);
  for (;;) {
    const { length } = visible(text.slice(start, end));
    if (length <= room) return wholeCharacters(text, start, end);
    end = start + Math.floor(((end - start) * room) / length);
  }
}

/** Characters on each side of a cut that are looked at. An emoji of a whole family has 11, an end of line 2. */
const CUT_WINDOW = 64;

/** The last place up to `end` that is not inside what a reader sees as one character (a pair, CRLF, a joined emoji). */
function wholeCharacters(text: string, start: number, end: number): number {
  if (end >= text.length) return end;
  const from = Math.max(start, end - CUT_WINDOW);
  const cut = new Intl.Segmenter().segment(text.slice(from, end + CUT_WINDOW)).containing(end - from);
  if (cut !== undefined && cut.index > 0) return from + cut.index;
  const isInPair = end > start && (text.codePointAt(end - 1) ?? 0) > 0xffff;
  return isInPair ? end - 1 : end;
}

function details(stored: ReadMessage["stored"]): string[] {
  const { envelope, queuedAt, expiresAt } = stored.message;
  const facts: Record<string, unknown> = {
    to: envelope.to,
    sent: envelope.timestamp,
    received: new Date(stored.receivedAt).toISOString(),
    queued: queuedAt,
    expires: envelope.expires_at ?? expiresAt,
    thread: envelope.thread_id,
    status: stored.status,
  };
  const lines = Object.entries(facts).flatMap(([name, value]) =>
    value ? [`${name}: ${oneWord(String(value), 300)}`] : [],
  );
  return [...lines, `file: ${oneLine(stored.path, 1000)}`];
}
