import { BlockList, isIP } from "node:net";
import { AmpError } from "../errors.ts";
import { redact } from "../wire/secrets.ts";
import { oneLine } from "../wire/untrusted.ts";

/**
 * The URL of a provider as a person gave it, checked: `http` or `https`, no user name in it, and no plain `http` to
 * a host beyond this machine and its private network, where the API key could be read on the way.
 *
 * @param allowed host names to which plain `http` is allowed nevertheless.
 */
export function checkedUrl(given: string, allowed: readonly string[]): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw new AmpError("invalid_argument", {
      message: `Expected a provider URL such as http://localhost:23000, found "${shown(given)}".`,
      notDone: "no request was made.",
      next: "Correct the URL (provider_url, --provider or AMP_PROVIDER_URL).",
      mender: "caller",
    });
  }
  if (
    url.protocol === "http:" &&
    !isNear(url.hostname) &&
    !allowed.some((host) => host.toLowerCase() === url.hostname)
  ) {
    throw new AmpError("insecure_url", {
      message: `${url.hostname} is not on this machine or its private network, and http:// would send the API key readable by anyone on the way.`,
      notDone: "no request was made.",
      next: `Use https://, or allow this host by name: AMP_ALLOW_HTTP=${url.hostname}.`,
      mender: "person",
    });
  }
  return url;
}

/** Whatever stands before an `@` may be a password, however the rest is written. */
function shown(given: string): string {
  return oneLine(redact(given.includes("@") ? `…${given.slice(given.lastIndexOf("@"))}` : given), 100);
}

/** Loopback, private (RFC 1918, RFC 4193), link-local, or a name that only the local network resolves. */
function isNear(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const family = isIP(host);
  if (family === 0) return host === "localhost" || host.endsWith(".localhost") || host.endsWith(".local");
  return near().check(host, family === 6 ? "ipv6" : "ipv4");
}

function near(): BlockList {
  const list = new BlockList();
  const v4: readonly [string, number][] = [
    ["127.0.0.0", 8],
    ["10.0.0.0", 8],
    ["172.16.0.0", 12],
    ["192.168.0.0", 16],
    ["169.254.0.0", 16],
  ];
  for (const [net, prefix] of v4) list.addSubnet(net, prefix, "ipv4");
  for (const [net, prefix] of [
    ["fc00::", 7],
    ["fe80::", 10],
  ] as const)
    list.addSubnet(net, prefix, "ipv6");
  list.addAddress("::1", "ipv6");
  return list;
}
