import { PAYLOAD_MAX_DEPTH } from "./limits.ts";

/**
 * How a payload becomes the bytes that are hashed and signed.
 *
 * `sorted` is the normative form: compact JSON, keys sorted at every level by UTF-16 code unit, except that keys
 * which look like array indices come first, by number. The exception is not ours: AI Maestro sorts and then puts the
 * keys into a plain object, and JavaScript engines enumerate such keys first. `received` keeps the order in which
 * the keys arrived, as the first AI Maestro and the written protocol (0.1.0) did.
 */
export type KeyOrder = "sorted" | "received";

/** Thrown for a value nested deeper than `PAYLOAD_MAX_DEPTH`, before the stack is at risk. */
export class TooDeepError extends Error {
  override readonly name = "TooDeepError";
}

/** JSON text of `value`. `undefined` members are left out, as `JSON.stringify` does. */
export function canonicalJson(value: unknown, order: KeyOrder = "sorted"): string {
  return write(value, order, 0);
}

function write(value: unknown, order: KeyOrder, depth: number): string {
  if (depth > PAYLOAD_MAX_DEPTH) throw new TooDeepError(`nested deeper than ${PAYLOAD_MAX_DEPTH} levels`);
  if (Array.isArray(value)) return `[${value.map((item) => write(item ?? null, order, depth + 1)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const keys = order === "sorted" ? canonicalKeys(value) : Object.keys(value);
  const members: Record<string, unknown> = { ...value };
  const texts = keys.flatMap((key) =>
    members[key] === undefined ? [] : [`${JSON.stringify(key)}:${write(members[key], order, depth + 1)}`],
  );
  return `{${texts.join(",")}}`;
}

/** The keys of an object in the order of the `sorted` form. Engines already give index-like keys first, by number. */
export function canonicalKeys(value: object): string[] {
  const keys = Object.keys(value);
  const [first] = keys;
  if (first === undefined || !isIndexLike(first)) return keys.sort();
  return [...keys.filter(isIndexLike), ...keys.filter((key) => !isIndexLike(key)).sort()];
}

const INDEX_LIKE = /^(?:0|[1-9]\d{0,9})$/;

/** An ECMAScript array index: "0" to "4294967294". */
function isIndexLike(key: string): boolean {
  return INDEX_LIKE.test(key) && Number(key) < 4294967295;
}

/**
 * The first thing in `value` that two implementations would serialise differently, as a sentence, or `undefined`
 * when every known signer and verifier agrees on its bytes (measured against jq, Python and both AI Maestros).
 */
export function unportable(value: unknown, path = "context", depth = 0): string | undefined {
  if (depth > PAYLOAD_MAX_DEPTH) return `${path} is nested deeper than ${PAYLOAD_MAX_DEPTH} levels`;
  if (typeof value === "string") return hasLoneSurrogate(value) ? `${path} holds half of a surrogate pair` : undefined;
  if (typeof value === "number") return unportableNumber(value, path);
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const found = unportable(item, `${path}[${i}]`, depth + 1);
      if (found) return found;
    }
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    if (/^(?:0|[1-9]\d*)$/.test(key)) return `${path} has the key "${key}", which is a number; write it as "n${key}"`;
    if (hasLoneSurrogate(key)) return `a key in ${path} holds half of a surrogate pair`;
    const found = unportable(member, `${path}.${key}`, depth + 1);
    if (found) return found;
  }
  return undefined;
}

function unportableNumber(value: number, path: string): string | undefined {
  if (!Number.isFinite(value)) return `${path} is not a finite number`;
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return `${path} is beyond 2^53; send it as text`;
  if (Object.is(value, -0)) return `${path} is minus zero; send 0`;
  if (/e/i.test(String(value))) return `${path} needs an exponent (${value}); send it as text`;
  return undefined;
}

export function hasLoneSurrogate(text: string): boolean {
  return !text.isWellFormed();
}
