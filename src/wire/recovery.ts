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

/**
 * Each text once, the likeliest first: a known path changes one or two things, so a candidate costs what its changes
 * cost together, and a cap on the work cuts off what is far from everything that was ever seen.
 */
export function* candidates(payload: Payload): Generator<Candidate> {
  if (Object.keys(payload).length > USUAL_MEMBERS) {
    yield { json: canonicalJson(payload), payload };
    yield { json: JSON.stringify(payload), payload };
    return;
  }
  const sorted = serialised(payload, canonicalJson);
  const received = serialised(payload, JSON.stringify);
  const shapes = [...shapesOf(payload)];
  const changes = messageVariants(payload.message).flatMap(({ text, cost }) =>
    shapes.flatMap((shape, i) => [
      { cost: cost + i * SHAPE_COST, shape, text, isSorted: true },
      { cost: cost + i * SHAPE_COST + ORDER_COST, shape, text, isSorted: false },
    ]),
  );
  const seen = new Set<string>();
  for (const { shape, text, isSorted } of changes.sort((a, b) => a.cost - b.cost)) {
    const changed = text === payload.message ? shape : { ...shape, message: text };
    const json = isSorted
      ? assemble(canonicalKeys(changed), changed, payload, sorted)
      : assemble(Object.keys(changed), changed, payload, received);
    if (seen.has(json)) continue;
    seen.add(json);
    yield { json, payload: changed };
  }
}

function serialised(payload: Payload, write: (value: unknown) => string): ReadonlyMap<string, string> {
  return new Map(Object.entries(payload).map(([key, value]) => [key, write(value)]));
}

/** Members up to which a payload is looked at in other shapes: every known path has four or five. */
const USUAL_MEMBERS = 64;
/** What one change costs, in lines of a wrapper by which the beginning of the text is guessed wrong. */
const SHAPE_COST = 2;
const ORDER_COST = 3;
const NEWLINE_COST = 4;

/** JSON of a shape in an order of its keys, from the texts of the members that are as they came. */
function assemble(
  keys: readonly string[],
  shape: Payload,
  payload: Payload,
  texts: ReadonlyMap<string, string>,
): string {
  const members = keys.map((key) => {
    const text = shape[key] === payload[key] ? texts.get(key) : undefined;
    return `${JSON.stringify(key)}:${text ?? JSON.stringify(shape[key])}`;
  });
  return `{${members.join(",")}}`;
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
const PATTERNS_FOUND = /^\[SECURITY WARNING: (\d{1,3}) suspicious pattern/;
const PATTERN_LINE = /^ {2}- \w+: "/;
/** Lines of a wrapped text in which its beginning is looked for, and how many of them are tried. */
const HEADER_MAX_LINES = 256;
const TRIED_LINES = 49;

/**
 * The text as it is; then, under a wrapper, each tail of the wrapped text that could be the sender's. Each also with a
 * last newline more, which shells strip, or one less, which `echo` adds.
 */
function messageVariants(message: unknown): { text: unknown; cost: number }[] {
  if (typeof message !== "string") return [{ text: message, cost: 0 }];
  const wrapper = WRAPPER.exec(message);
  const tails = wrapper && message.endsWith(FOOTER) ? tailsOf(message.slice(wrapper[0].length, -FOOTER.length)) : [];
  return [{ text: message, cost: 0 }, ...tails].flatMap(({ text, cost }) => [
    { text, cost },
    { text: `${text}\n`, cost: cost + NEWLINE_COST },
    ...(text.endsWith("\n") ? [{ text: text.slice(0, -1), cost: cost + NEWLINE_COST }] : []),
  ]);
}

function tailsOf(inner: string): { text: string; cost: number }[] {
  const lines = inner.split("\n", HEADER_MAX_LINES);
  const likely = likelyStart(lines);
  let offset = 0;
  const starts = lines.map((line, i) => {
    const start = { offset, cost: Math.abs(i - likely) };
    offset += line.length + 1;
    return start;
  });
  return starts
    .sort((a, b) => a.cost - b.cost)
    .slice(0, TRIED_LINES)
    .map((start) => ({ text: inner.slice(start.offset), cost: start.cost }));
}

/** The line after the wrapper's own. AI Maestro says how many patterns it lists; a quoted one may go over lines. */
function likelyStart(lines: readonly string[]): number {
  const first = lines.findIndex((line) => !HEADER_LINE.test(line));
  const warning = lines.findIndex((line) => PATTERNS_FOUND.test(line));
  const announced = Number(PATTERNS_FOUND.exec(lines[warning] ?? "")?.[1] ?? 0);
  const listed = lines.flatMap((line, i) => (i > warning && PATTERN_LINE.test(line) ? [i] : []));
  const last = announced > 0 ? listed[announced - 1] : undefined;
  if (last === undefined) return first;
  const end = lines.findIndex((line, i) => i >= last && /"(?:\u2026|\.{3})?$/.test(line));
  const after = (end < 0 ? last : end) + 1;
  return lines[after] === "" ? after + 1 : after;
}
