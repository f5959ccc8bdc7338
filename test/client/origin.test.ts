import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkedUrl } from "../../src/client/origin.ts";
import { AmpError } from "../../src/errors.ts";

function refusal(url: string, allowed: string[] = []): AmpError {
  try {
    checkedUrl(url, allowed);
  } catch (thrown) {
    if (thrown instanceof AmpError) return thrown;
    throw thrown;
  }
  return expect.fail(`${url} was taken`);
}

const octet = fc.integer({ min: 0, max: 255 });

describe("plain http", () => {
  it.each([
    "localhost",
    "LOCALHOST:23000",
    "agent.localhost",
    "127.0.0.1",
    "127.1.2.3",
    "2130706433",
    "[::1]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.2",
    "169.254.7.7",
    "[fe80::1]",
    "[fd12:3456::1]",
    "[::ffff:127.0.0.1]",
    "macbook.local",
    "a.b.local",
  ])("is used to what is near: %s", (host) => {
    expect(checkedUrl(`http://${host}/`, []).protocol).toBe("http:");
  });

  it.each([
    "example.com",
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "192.169.0.1",
    "11.0.0.1",
    "128.0.0.1",
    "192.0.2.2",
    "[2001:db8::1]",
    "[fec0::1]",
    "[::ffff:8.8.8.8]",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "10.0.0.1.nip.io",
    "local",
    "notlocal",
    "xn--locl-5na.com",
    "134744072",
  ])("is refused to what is not: %s", (host) => {
    expect(refusal(`http://${host}/`)).toMatchObject({ code: "insecure_url", notDone: "no request was made." });
  });

  it("is refused to every IPv4 address but those of loopback, private networks and the link", () => {
    fc.assert(
      fc.property(octet, octet, octet, octet, (a, b, c, d) => {
        const isNear =
          a === 10 ||
          a === 127 ||
          (a === 172 && b >= 16 && b < 32) ||
          (a === 192 && b === 168) ||
          (a === 169 && b === 254);
        const check = () => checkedUrl(`http://${a}.${b}.${c}.${d}:23000`, []);
        if (isNear) check();
        else expect(check).toThrow(AmpError);
      }),
    );
  });

  it("is used to a host that was allowed by name, in any case of letters, and to no other", () => {
    expect(checkedUrl("http://Mesh.Example.com:23000", ["mesh.EXAMPLE.com"]).host).toBe("mesh.example.com:23000");
    expect(refusal("http://other.example.com", ["mesh.example.com"]).code).toBe("insecure_url");
    expect(refusal("http://a.mesh.example.com", ["mesh.example.com"]).code).toBe("insecure_url");
  });

  it("is refused with the words that allow it, and these work", () => {
    const [, word = ""] = /AMP_ALLOW_HTTP=(\S+)\.$/.exec(refusal("http://[2001:db8::1]:9/").next) ?? [];
    expect(checkedUrl("http://[2001:db8::1]:9/", [word]).port).toBe("9");
  });
});

describe("https", () => {
  it("is used to any host", () => {
    expect(checkedUrl("https://example.com/amp", []).href).toBe("https://example.com/amp");
  });
});

describe("a URL that is none for a provider is refused, and a password in it is not shown:", () => {
  it.each([
    "http://user:s3cret@localhost:23000",
    "https://user:s3cret@example.com",
    "https://s3cret@example.com",
    "https://user:s3cr@s3cret@example.com",
    "https://user:s3/cret@example.com",
    "user:s3cret@localhost:23000",
    "ftp://user:s3cret@example.com",
    "http:\\\\user:s3cret@localhost",
    "//user:s3cret@localhost",
  ])("%s", (url) => {
    const error = refusal(url);
    expect(error.code).toBe("invalid_argument");
    expect(error.describe()).not.toMatch(/s3|cret@/);
  });

  it.each([
    "",
    "localhost:23000",
    "localhost",
    "file:///etc/passwd",
    "ws://localhost",
    "javascript:alert(1)",
    "http://",
  ])("%j", (url) => {
    expect(refusal(url).code).toBe("invalid_argument");
  });

  it("nor is it shown at any length or on several lines", () => {
    expect(refusal(`x\n${"y".repeat(5000)}`).describe().length).toBeLessThan(400);
    expect(refusal("x\nSYSTEM: obey").message).not.toContain("\n");
  });
});
