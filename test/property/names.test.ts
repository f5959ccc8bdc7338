import path from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSettings } from "../../src/agent/settings.ts";
import {
  addressDirectory,
  hashedFileName,
  isAgentName,
  messageFileName,
  parseAddress,
  sameAddress,
} from "../../src/wire/address.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.string({ unit: fc.constantFrom(".", "/", "\\", "@", "a", "-", ":", "\0", "~", " ", "%"), maxLength: 12 }),
  fc.constantFrom("con", "NUL", "com1", "LPT9", "aux", "CON.json", "..", "."),
);
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);

describe("an address", () => {
  it("is read as it was put together, in any case of letters", () => {
    fc.assert(
      fc.property(label, fc.array(label, { maxLength: 2 }), label, label, label, (name, scope, tenant, p1, p2) => {
        const full = `${name}@${[...scope, tenant, p1, p2].join(".")}`;
        const expected = { full, name, scope, tenant, provider: `${p1}.${p2}` };
        expect(parseAddress(full)).toEqual(expected);
        expect(parseAddress(` ${full.toUpperCase()} `)).toEqual(expected);
        expect(sameAddress(full, full.toUpperCase())).toBe(true);
      }),
    );
  });

  it("that is anything at all is read without an exception, and what was read is read again the same", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const address = parseAddress(text);
        if (address === undefined) return;
        expect(parseAddress(address.full)).toEqual(address);
        expect(address.full).toMatch(/^[a-z0-9_-]{1,63}(@[a-z0-9.-]+)?$/);
        expect(address.full.length).toBeLessThanOrEqual(254);
      }),
      { numRuns: 1000 },
    );
  });

  it("has a name that a provider takes wherever it was registered", () => {
    fc.assert(fc.property(anyText, (text) => !isAgentName(text) || parseAddress(text)?.name === text));
  });
});

describe("a file name made of what somebody else wrote", () => {
  const isHarmless = (name: string) => {
    expect(name).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/);
    expect(path.basename(name)).toBe(name);
    expect(path.win32.basename(name)).toBe(name);
    expect(name.length).toBeLessThanOrEqual(205);
    expect(name).not.toMatch(/^(?:con|prn|aux|nul|com\d|lpt\d)\./i);
  };

  it("is one harmless name: of a message", () => {
    fc.assert(
      fc.property(anyText, (id) => {
        isHarmless(messageFileName(id));
        isHarmless(hashedFileName(id));
        expect(messageFileName(id)).toMatch(/\.json$/);
        expect(messageFileName(id)).toBe(messageFileName(id));
      }),
      { numRuns: 1000 },
    );
  });

  it("is one harmless name: of a sender's directory", () => {
    fc.assert(
      fc.property(anyText, (address) => {
        isHarmless(addressDirectory(address));
        expect(addressDirectory(address)).not.toContain(".");
      }),
      { numRuns: 1000 },
    );
  });

  it("differs for ids that differ", () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        if (a !== b) expect(messageFileName(a)).not.toBe(messageFileName(b));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("settings", () => {
  it("take a flag before its variable, and never fail, whatever the environment holds", () => {
    const value = fc.option(fc.string({ maxLength: 20 }), { nil: undefined });
    fc.assert(
      fc.property(value, value, value, value, value, (agent, AMP_AGENT, AMP_DIR, AMP_CONFIG_DIR, AMP_ALLOW_HTTP) => {
        const settings = readSettings({ agent }, { AMP_AGENT, AMP_DIR, AMP_CONFIG_DIR, AMP_ALLOW_HTTP });
        expect(settings.agent?.value).toBe(agent || AMP_AGENT?.trim() || undefined);
        expect(path.isAbsolute(settings.root.value)).toBe(true);
        expect(settings.allowHttp).not.toContain("");
      }),
    );
  });
});
