/**
 * Text that somebody else wrote, on its way to a model or a terminal. Characters that change how the rest is seen
 * without being seen themselves are written out: controls, formats (direction marks, zero-width characters, tags),
 * line and paragraph separators, and whatever Unicode says to ignore. Kept are tabs and newlines, the selectors that
 * pick an emoji's look, and the joiner inside an emoji.
 */
const HIDDEN = /(?!\t|\n|\ufe0e|\ufe0f)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}]/gu;
const EMOJI_JOINER = /(?<=\p{ExtPict}\p{EMod}?\ufe0f?)\u200d(?=\p{ExtPict})/gu;
/** Stands in for a kept joiner while the others are written out; a noncharacter, which no text may hold. */
const KEPT = "\uffff";

/** A body: tabs and newlines stay, everything hidden becomes `\u{…}`. CRLF becomes a newline. */
export function visible(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\r\n", "\n")
    .replaceAll(KEPT, "\ufffd")
    .replace(EMOJI_JOINER, KEPT)
    .replace(HIDDEN, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`)
    .replaceAll(KEPT, "\u200d");
}

/** One line of at most `maxChars` characters, for a subject, a name or an error text. */
export function oneLine(text: string, maxChars: number): string {
  const line = visible(text).replace(/\s+/g, " ").trim();
  const characters = [...line.slice(0, maxChars * 2 + 2)];
  return characters.length > maxChars ? `${characters.slice(0, maxChars - 1).join("")}…` : line;
}

/**
 * One word of printable ASCII, for an address, an id or a kind, which stand outside quotes. Everything else is written
 * out: blanks and bars, of which sentences and columns are made, and letters of other alphabets, which look like ours.
 */
export function oneWord(text: string, maxChars: number): string {
  const word = text
    .toWellFormed()
    .replace(/[^!-~]|[|"\\]/gu, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`);
  if (word === "") return "?";
  return word.length > maxChars ? `${word.slice(0, maxChars - 3)}...` : word;
}

/** A message's id as it is shown. Whoever copies it is understood: see `findMessage`. */
export function shownId(id: string): string {
  return oneWord(id, 520);
}

/** The same as `oneLine` in double quotes; quotes inside become typographic, so that the end of the text is unmistakable. */
export function quoted(text: string, maxChars: number): string {
  return `"${oneLine(text, maxChars).replaceAll('"', "”")}"`;
}
