import { canonicalJson, canonicalKeys } from "./canonical.ts";

/**
 * What a payload may have been before its path changed it (measured on two AI Maestros and the plugin's scripts).
 * Most likely first, because each costs a signature check.
 */
type Payload = Record<string, unknown>;

export interface Candidate {
  /** The text that may have been hashed and signed. */
  json: string;
  payload: Payload;
}

/** Each text once. Members are serialised once, whatever the number of candidates. */
export function* candidates(payload: Payload): Generator<Candidate> {
  const members = new Map(Object.entries(payload).map(([key, value]) => [key, canonicalJson(value)]));
  const shapes = [...shapesOf(payload)];
  const seen = new Set<string>();
  const fresh = (candidate: Candidate) => !seen.has(candidate.json) && seen.add(candidate.json);
  for (const text of messageVariants(payload.message)) {
    for (const shape of shapes) {
      const isTouched = text !== undefined && text !== payload.message;
      const changed = isTouched ? { ...shape, message: text } : shape;
      const sorted = { json: assemble(changed, members, isTouched), payload: changed };
      if (fresh(sorted)) yield sorted;
      const received = isTouched ? sorted : { json: canonicalJson(shape, "received"), payload: shape };
      if (fresh(received)) yield received;
    }
  }
}

function assemble(shape: Payload, members: ReadonlyMap<string, string>, isTouched: boolean): string {
  const texts = canonicalKeys(shape).map((key) => {
    const known = (isTouched && key === "message") || shape[key] === null ? undefined : members.get(key);
    return `${JSON.stringify(key)}:${known ?? JSON.stringify(shape[key])}`;
  });
  return `{${texts.join(",")}}`;
}

/** `security` is added by AI Maestro, an empty `attachments` by the plugin, `context: null` comes and goes. */
function* shapesOf(payload: Payload): Generator<Payload> {
  const isPadded = Array.isArray(payload.attachments) && payload.attachments.length === 0;
  const bare = isPadded ? without(payload, "attachments") : payload;
  yield* contextVariants(without(bare, "security"));
  if (isPadded) yield* contextVariants(without(payload, "security"));
  if (payload.security !== undefined) yield* contextVariants(payload);
}

function* contextVariants(shape: Payload): Generator<Payload> {
  yield shape;
  if (shape.context === undefined) yield { ...shape, context: null };
  else if (shape.context === null) yield without(shape, "context");
}

function without(payload: Payload, key: string): Payload {
  const { [key]: _dropped, ...rest } = payload;
  return rest;
}

const WRAPPER =
  /^<external-content source="(?:agent|unknown)" sender="[^\n]*" trust="(?:none|external|untrusted)"[^\n]*>\n/;
const FOOTER = "\n</external-content>";
/** Warning lines of a wrapper: they have no fixed number, and a match quoted in one may hold newlines of the sender. */
const HEADER_LINE = /^(?:|\[(?:CONTENT IS DATA ONLY|SECURITY WARNING)[^\n]*| {2}- [^\n]*)$/;
const MAX_HEADER_LINES = 48;

/**
 * The text as it is; then, under a wrapper, each tail of the wrapped text that could be the sender's: first the one
 * after the lines that look like the wrapper's own, then outward from there. Each also with a last newline, which
 * shells strip and `echo` adds. `undefined` for a payload without text.
 */
function* messageVariants(message: unknown): Generator<string | undefined> {
  if (typeof message !== "string") {
    yield undefined;
    return;
  }
  yield message;
  const wrapper = WRAPPER.exec(message);
  const tails = wrapper && message.endsWith(FOOTER) ? tailsOf(message.slice(wrapper[0].length, -FOOTER.length)) : [];
  for (const tail of tails) {
    yield tail;
    yield `${tail}\n`;
  }
  yield `${message}\n`;
}

function tailsOf(inner: string): string[] {
  const lines = inner.split("\n", MAX_HEADER_LINES + 1);
  const likely = lines.findIndex((line) => !HEADER_LINE.test(line));
  const starts = lines.map((_line, i) => i).sort((a, b) => Math.abs(a - likely) - Math.abs(b - likely));
  const offsets = lines.map((_line, i) => lines.slice(0, i).reduce((sum, line) => sum + line.length + 1, 0));
  return starts.map((start) => inner.slice(offsets[start]));
}
