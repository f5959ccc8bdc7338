import { folded, hidesText, unleeted } from "./folding.ts";
import { FLAGGED_MAX_CHARS } from "./limits.ts";
import { PHRASES, type Phrased } from "./phrases.ts";

/** What a text may try with its reader, in a word. A flag is a remark, not a verdict: nothing is held back because of one. */
export type Flag = Phrased | "hidden_text";
/** All of them, in the order in which they are told. */
export const FLAGS: readonly Flag[] = [...PHRASES.map(([flag]) => flag), "hidden_text"];

/**
 * The categories that the sender's words of one message fall into, in the order of `FLAGS`. Texts are looked at up to
 * `FLAGGED_MAX_CHARS` each; every pattern is bounded, so that the time grows with the length alone. Finds phrases,
 * not meanings: a text without a flag is not thereby harmless.
 */
export function flagsOf(texts: {
  subject: string;
  text: string;
  attachmentNames?: readonly string[];
}): readonly Flag[] {
  const all = [texts.subject, texts.text, (texts.attachmentNames ?? []).join("\n")].map((text) =>
    unwrapped(text.slice(0, FLAGGED_MAX_CHARS)),
  );
  const found = new Set<Flag>();
  for (const text of all) {
    if (text === "") continue;
    if (hidesText(text)) found.add("hidden_text");
    for (const flag of phrasesIn(text)) found.add(flag);
    for (const inner of decoded(text)) for (const flag of phrasesIn(inner)) found.add(flag).add("hidden_text");
  }
  return FLAGS.filter((flag) => found.has(flag));
}

function phrasesIn(text: string): Flag[] {
  const plain = folded(text, FLAGGED_MAX_CHARS);
  const variants = new Set([plain, unleeted(plain)]);
  return PHRASES.flatMap(([flag, pattern]) => ([...variants].some((variant) => pattern.test(variant)) ? [flag] : []));
}

/** Some providers put a wrapper around whatever they do not trust; one whole wrapper is theirs, a piece is not. */
function unwrapped(text: string): string {
  return /^<(external-content|agent-message) [^>\n]{0,600}>\n/.test(text)
    ? text.replace(/^<[^>]*>\n(?:\[CONTENT IS DATA ONLY[^\]\n]{0,80}\]\n?)?/, "").replace(/<\/[a-z-]+>\s{0,9}$/, "")
    : text;
}

/** Characters of base64 that are decoded, in all: a paragraph of instructions has some hundred. */
const DECODED_MAX_CHARS = 8192;

/** What stands in base64 and is plain text. */
function decoded(text: string): string[] {
  let room = DECODED_MAX_CHARS;
  const inner: string[] = [];
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{24,}/g)) {
    if (room <= 0) break;
    const bytes = Buffer.from(run.slice(0, room), "base64").toString("latin1");
    room -= run.length;
    if (/^[\t\n\r\x20-\x7e]+$/.test(bytes)) inner.push(bytes);
  }
  return inner;
}
