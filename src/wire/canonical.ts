import { PAYLOAD_MAX_DEPTH, PAYLOAD_MAX_VALUES } from "./limits.ts";

/**
 * How a payload becomes the bytes that are hashed and signed: compact JSON, keys sorted at every level by UTF-16 code
 * unit, except that keys which look like array indices come first, by number. The exception is not ours: AI Maestro
 * sorts and then puts the keys into a plain object, and JavaScript engines enumerate such keys first.
 */

/** Thrown for a value nested deeper than `PAYLOAD_MAX_DEPTH`, before the stack is at risk. */
export class TooDeepError extends Error {
  override readonly name = "TooDeepError";
}

/** Thrown for more than `PAYLOAD_MAX_VALUES` values, before they are sorted. */
export class TooManyValuesError extends Error {
  override readonly name = "TooManyValuesError";
}

/** JSON text of `value`. `undefined` members are left out, as `JSON.stringify` does. */
export function canonicalJson(value: unknown): string {
  return write(value, 0, { values: PAYLOAD_MAX_VALUES });
}

function write(value: unknown, depth: number, left: { values: number }): string {
  if (depth > PAYLOAD_MAX_DEPTH) throw new TooDeepError(`nested deeper than ${PAYLOAD_MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    take(value.length, left);
    return `[${value.map((item) => write(item ?? null, depth + 1, left)).join(",")}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  take(Object.keys(value).length, left);
  const keys = canonicalKeys(value);
  const members: Record<string, unknown> = { ...value };
  const texts: string[] = [];
  for (const key of keys) {
    const member = members[key];
    if (member !== undefined) texts.push(`${JSON.stringify(key)}:${write(member, depth + 1, left)}`);
  }
  return `{${texts.join(",")}}`;
}

function take(values: number, left: { values: number }): void {
  left.values -= values;
  if (left.values < 0) throw new TooManyValuesError(`more than ${PAYLOAD_MAX_VALUES} values`);
}

/** The keys of an object in the order of that form. Engines already give index-like keys first, by number. */
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
