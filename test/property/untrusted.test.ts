import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redact } from "../../src/wire/secrets.ts";
import { oneLine, quoted, visible } from "../../src/wire/untrusted.ts";

const HIDING = [
  "\u202e",
  "\u200b",
  "\u200d",
  "\ufeff",
  "\u2028",
  "\u2029",
  "\0",
  "\x1b",
  "\r",
  "\u{e0041}",
  "\u00ad",
  "\u034f",
  "\uffff",
  "\ud800",
];
const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        ...HIDING,
        "a",
        " ",
        "\n",
        "\t",
        "🙂",
        "👩",
        "🏽",
        "\ufe0f",
        "💻",
        '"',
        "\\u{200b}",
        "ü",
        "مرحبا",
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join("")),
);
const clean = fc.string({
  unit: fc.constantFrom("a", "Z", "é", "漢", "🙂", " ", "\n", "\t", '"', "\\", "<", "ا"),
  maxLength: 60,
});

/** The joiner is allowed only where it makes one picture of two. */
const LOOSE_JOINER = /(?<!\p{ExtPict}\p{EMod}?\ufe0f?)\u200d|\u200d(?!\p{ExtPict})/u;

describe("visible text", () => {
  it("holds nothing that changes how the rest is seen", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const seen = visible(text);
        expect(seen).not.toMatch(/(?![\t\n\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(seen).not.toMatch(LOOSE_JOINER);
        expect(seen.isWellFormed()).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it("leaves clean text alone, and is the same when it is made visible again", () => {
    fc.assert(
      fc.property(clean, (text) => {
        expect(visible(text)).toBe(text);
      }),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        expect(visible(visible(text))).toBe(visible(text));
      }),
      { numRuns: 2000 },
    );
  });

  it("keeps families and flags whole", () => {
    for (const text of ["👩‍👩‍👧", "👩🏽‍💻", "🏳️‍🌈", "❤️‍🔥"]) expect(visible(text)).toBe(text);
  });
});

describe("one line", () => {
  it("is one, and no longer than asked for", () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 1, max: 50 }), (text, max) => {
        const line = oneLine(text, max);
        expect(line).not.toMatch(/[\n\t\p{Cc}\p{Zl}\p{Zp}]/u);
        expect([...line].length).toBeLessThanOrEqual(max);
        expect(line.isWellFormed()).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it("in quotes ends where it seems to end", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(quoted(text, 80).slice(1, -1)).not.toContain('"');
      }),
    );
  });
});

describe("a secret", () => {
  const key = fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `amp_live_sk_${hex}`);

  it("is not in what was redacted, wherever it stood", () => {
    fc.assert(
      fc.property(hostile, key, hostile, (before, secret, after) => {
        expect(redact(`${before}${secret} ${after}`)).not.toContain(secret.slice(0, 20));
        expect(redact(`${before}{"api_key":"${secret}"}${after}`)).not.toContain(secret.slice(12, 40));
        expect(redact(`Authorization: Bearer ${secret.slice(12)}`)).not.toContain(secret.slice(12, 40));
      }),
    );
  });
});
