import { createHash } from "node:crypto";
import { ADDRESS_MAX_CHARS } from "./limits.ts";

/** An agent's name as providers register it: 1 to 63 lower-case letters, digits and inner hyphens. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LOCAL_PART = /^[a-z0-9_-]{1,63}$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * `name@[scope.]tenant.provider`, where the provider is the last two labels. A bare name has no domain; it means an
 * agent of the sender's own provider.
 */
export interface Address {
  /** Lower case, the form that is compared, signed and sent. */
  full: string;
  name: string;
  /** Labels before the tenant: the repository and platform of a scoped address. */
  scope: string[];
  tenant: string | undefined;
  provider: string | undefined;
}

export function isAgentName(text: string): boolean {
  return NAME.test(text);
}

/** The address in `text`, in any case of letters, or `undefined` where it is none. */
export function parseAddress(text: string): Address | undefined {
  const full = text.trim().toLowerCase();
  if (full.length > ADDRESS_MAX_CHARS) return undefined;
  const [name, domain, ...rest] = full.split("@");
  if (name === undefined || !LOCAL_PART.test(name) || rest.length > 0) return undefined;
  if (domain === undefined) return { full, name, scope: [], tenant: undefined, provider: undefined };
  const labels = domain.split(".");
  if (!labels.every((label) => LABEL.test(label))) return undefined;
  const provider = labels.slice(-2).join(".");
  const tenant = labels.length > 2 ? labels.at(-3) : undefined;
  return { full, name, scope: labels.slice(0, -3), tenant, provider };
}

/** Addresses compare without regard to case; nothing else is folded. */
export function sameAddress(a: string, b: string): boolean {
  return a.trim().toLowerCase() === b.trim().toLowerCase();
}

/**
 * The directory under `inbox/` or `sent/` in which every tool of the ecosystem files this address; for a bare name that
 * Windows keeps for a device one beside it. A hint only: who wrote a message stands in it.
 */
export function addressDirectory(address: string): string {
  const clean = address.replace(/[@.]/g, "_").replace(/[^a-zA-Z0-9_-]/g, "");
  if (clean === "") return "unknown";
  return isDeviceName(clean) ? `${clean}_` : clean.slice(0, 200);
}

/** An id that every tool takes as a file name on every system. */
const FILE_SAFE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Windows keeps these names for devices, with any extension. */
export function isDeviceName(name: string): boolean {
  return /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(name);
}

/** The file name for a message id: the id itself where that is safe, else a hash of it (the id stays inside). */
export function messageFileName(id: string): string {
  return FILE_SAFE_ID.test(id) && !isDeviceName(id) ? `${id}.json` : hashedFileName(id);
}

/** A file name for any id; also for one whose own name is taken, as on systems where case makes no difference. */
export function hashedFileName(id: string): string {
  return `x_${createHash("sha256").update(id).digest("hex").slice(0, 32)}.json`;
}

/** AI Maestro's dashboard spells `msg_1_a` as `msg-1-a`; both name one message. */
export function sameMessageId(a: string, b: string): boolean {
  return a === b || (a.startsWith("msg") && a.replaceAll("-", "_") === b.replaceAll("-", "_"));
}

/** A bare name, an address of our own tenant, and at an AI Maestro its words for this very host. */
export function isWithinTenant(to: string, ownAddress: string): boolean {
  const own = parseAddress(ownAddress);
  const recipient = parseAddress(to);
  if (recipient?.provider === undefined) return true;
  const isThisHost = ["local", "local.aimaestro.local"].includes(recipient.full.slice(recipient.name.length + 1));
  if (isThisHost && own?.provider === "aimaestro.local") return true;
  return recipient.tenant === own?.tenant && recipient.provider === own?.provider;
}
