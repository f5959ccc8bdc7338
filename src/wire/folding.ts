/**
 * Text as a reader takes it in, for comparing it with phrases: never for showing it. Compatibility forms, accents,
 * hidden characters, terminal sequences, spaced-out letters and look-alikes from other alphabets are undone.
 */
export function folded(text: string, maxChars: number): string {
  const plain = text
    .slice(0, maxChars)
    .replace(TERMINAL_SEQUENCE, "")
    .normalize("NFKD")
    // One character may become eighteen.
    .slice(0, maxChars)
    .replace(UNSEEN, "")
    .replace(LOOKALIKE, (letter) => LATIN.get(letter) ?? letter);
  return plain.replace(SPACED_OUT, (letters) => letters.replace(/[^a-z]/gi, ""));
}

/** Digits and signs that stand for letters, where they touch one: `1gn0r3`. */
export function unleeted(text: string): string {
  return text.replace(/(?<=[a-z])[013457@$]|[013457@$](?=[013457@$]?[a-z])/gi, (sign) => LEET.get(sign) ?? sign);
}

const LEET = new Map(
  ["0o", "1i", "3e", "4a", "5s", "7t", "@a", "$s"].map(([sign = "", letter = ""]) => [sign, letter]),
);

const FOREIGN = "авекмнорстухѕіјԁԛԝһӏѵԍАВЕКМНОРСТУХЅІЈԀԚԜҺӀѴԌαεηικνορτυχγωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ";
const FOREIGN_AS = "abekmhopctyxsijdqwhlvgABEKMHOPCTYXSIJDQWHLVGaenikvoptuxywABEZHIKMNOPTYX";
/** Latin letters that no normal form takes apart. */
const ODD_LATIN = "ıɑɡøłđɩʟᴏꜱØŁĐ";
const ODD_LATIN_AS = "iagoldilosOLD";
const LATIN = new Map([...(FOREIGN + ODD_LATIN)].map((letter, i) => [letter, (FOREIGN_AS + ODD_LATIN_AS).charAt(i)]));
const LOOKALIKE = new RegExp(`[${FOREIGN}${ODD_LATIN}]`, "g");

const UNSEEN = /[\p{M}\p{Cf}\p{DI}]|(?![\t\n\r])\p{Cc}/gu;
const SPACED_OUT = /\b(?:[a-z][ .*_-]){4,80}[a-z]\b/gi;
/** Colours, cursor movements (CSI) and what sets titles, links and clipboards (OSC), however it ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const TERMINAL_SEQUENCE = /(?:\x1b\[|\x9b)[0-9;?]{0,16}[a-zA-Z]|\x1b\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)/g;

/**
 * Whether a text holds what its reader cannot see, or sees as something else. Let pass is what people write: emoji,
 * joiners and direction marks of scripts that need them, soft hyphens, coloured build logs, `μs`, `JSONа`.
 */
export function hidesText(text: string): boolean {
  return HIDING.some((form) => form.test(text)) || mixesAlphabets(text);
}

const ZERO_WIDTH = "\\u034f\\u115f\\u1160\\u180e\\u200b-\\u200f\\u2060-\\u2064\\u3164\\ufeff\\uffa0";
const LATIN_OR_DIGIT = "[\\p{sc=Latn}\\p{Nd}]";
const HIDING: readonly RegExp[] = [
  // Tag characters, but for the flags of England, Scotland and Wales, which are spelt with them.
  /(?<!\u{1f3f4}[\u{e0061}-\u{e007a}]{0,5})[\u{e0000}-\u{e007f}]/u,
  /[\u202a-\u202e\u2066-\u2069]/,
  new RegExp(`(?<=${LATIN_OR_DIGIT})[${ZERO_WIDTH}]+(?=${LATIN_OR_DIGIT})`, "u"),
  new RegExp(`[${ZERO_WIDTH}]{3}`),
  /[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]{2}/u,
  // Letters of mathematics as a typeface; one or two are a formula.
  /[\u{1d400}-\u{1d7ff}]{4}/u,
  // ASCII spelt in numbers: entities, escapes, percents.
  /(?:&#x?[0-9a-f]{2,6};){5}|(?:\\u00[2-7][0-9a-f]){5}|(?:\\x[2-7][0-9a-f]){6}|(?:%[2-7][0-9a-f]){8}/i,
  // Terminal: titles, links, the clipboard; concealed text; clearing the screen; writing over what was written.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /\x1b[\]P^_X]|(?:\x1b\[|\x9b)(?:(?:0;)?8m|[23]J)|[\b]{2}/,
];

/** A Latin letter right after a look-alike of another alphabet, in one word. An ending (`JSONа`) is grammar. */
function mixesAlphabets(text: string): boolean {
  if (!OTHER_ALPHABET.test(text)) return false;
  return (text.match(WORD) ?? []).some((word) => MIXED.test(word));
}

const OTHER_ALPHABET = /[\u0370-\u052f]/;
const WORD = /[\p{sc=Latn}\u0370-\u052f]{4,}/gu;
const MIXED = new RegExp(`[${FOREIGN}]\\p{sc=Latn}`, "u");
