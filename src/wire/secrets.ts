/**
 * Texts from outside may hold what must never be shown: a provider can echo a header, a file a key. API keys, PEM
 * blocks and authorization values become a word.
 */
const SECRETS: readonly [RegExp, string][] = [
  [/amp_[a-z]+_sk_[A-Za-z0-9_-]+/g, "[API key]"],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, "[private key]"],
  [/("api_?key"\s*:\s*")[^"]*/gi, "$1[API key]"],
  [/\bBearer\s+[^\s"',}]+/gi, "[authorization]"],
];

export function redact(text: string): string {
  return SECRETS.reduce((clean, [secret, word]) => clean.replace(secret, word), text);
}

/** The same for one key that is known: not every provider's keys look like AI Maestro's. */
export function withoutKey(text: string, apiKey: string): string {
  return text.replaceAll(apiKey, "[API key]");
}
