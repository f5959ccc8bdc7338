import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AmpError } from "../errors.ts";
import { isObject, parseJson, text } from "../wire/json.ts";
import { CONFIG_FILE_MAX_BYTES, TORN_AGE, TORN_LOOKS, TORN_PAUSE } from "../wire/limits.ts";
import type { Disk } from "./disk.ts";

/**
 * What an agent's directory says of the agent, read from any of the layouts: the guide's `config.json` and
 * `api_key`, the plugin's `config.json` and `registrations/*.json`, the protocol's snake_case registrations.
 */
export interface Profile {
  /** True path. */
  directory: string;
  name: string;
  address: string | undefined;
  /** Those of its registrations with other providers. */
  otherAddresses: string[];
  tenant: string | undefined;
  agentId: string | undefined;
  apiKey: string | undefined;
  /** Base of the provider's API, without a final slash: `http://host:23000/api/v1`. */
  endpoint: string | undefined;
  providerName: string | undefined;
  /** ISO 8601. */
  registeredAt: string | undefined;
  hasPrivateKey: boolean;
  /** A script has written `config.json` anew in its own, smaller form, and the guide's scripts find nothing in it. */
  hasLostFields: boolean;
}

/** An agent that can sign and be recognised by its provider. */
export interface RegisteredProfile extends Profile {
  address: string;
  apiKey: string;
  endpoint: string;
}

/** Reads a directory; what is missing, broken or of an unknown layout is `undefined`, never an error. */
export async function readProfile(disk: Disk, directory: string): Promise<Profile> {
  const config = await readObject(disk, join(directory, "config.json"));
  const inner = isObject(config.agent) ? config.agent : {};
  const provider = isObject(config.provider) ? config.provider : {};
  const registrations = await usableRegistrations(disk, directory);
  const registration = mainRegistration(registrations, text(provider, "name"));
  const keyFile = await disk.read(join(directory, "api_key"), CONFIG_FILE_MAX_BYTES);
  const privatePem = await disk.read(privateKeyFile(directory), CONFIG_FILE_MAX_BYTES);
  const address = registration.address ?? text(config, "address") ?? text(inner, "address");
  return {
    directory,
    // The plugin writes the name of its environment into `agent`, whosever directory it is in.
    name: (text(config, "agent_name") ?? registration.name ?? text(inner, "name") ?? basename(directory)).toLowerCase(),
    address,
    otherAddresses: registrations.flatMap((other) => other.address ?? []).filter((other) => other !== address),
    tenant: text(config, "tenant") ?? registration.tenant ?? text(inner, "tenant"),
    agentId: text(config, "agent_id") ?? text(inner, "id") ?? registration.agentId ?? uuid(basename(directory)),
    apiKey: keyFile?.trim() || registration.apiKey,
    endpoint: apiBase(text(provider, "endpoint")) ?? registration.endpoint,
    providerName: text(provider, "name") ?? registration.provider,
    registeredAt: text(config, "registered_at") ?? registration.registeredAt ?? text(inner, "createdAt"),
    hasPrivateKey: privatePem !== undefined,
    hasLostFields: keyFile !== undefined && isObject(config.agent) && text(provider, "endpoint") === undefined,
  };
}

interface Registration {
  provider?: string | undefined;
  name?: string | undefined;
  address?: string | undefined;
  tenant?: string | undefined;
  agentId?: string | undefined;
  apiKey?: string | undefined;
  endpoint?: string | undefined;
  registeredAt?: string | undefined;
}

async function usableRegistrations(disk: Disk, directory: string): Promise<Registration[]> {
  const folder = join(directory, "registrations");
  const files = (await disk.names(folder)).filter((name) => name.endsWith(".json") && !name.startsWith("."));
  const all = await Promise.all(files.map(async (name) => registrationOf(await readObject(disk, join(folder, name)))));
  return all.filter((registration) => registration.apiKey !== undefined);
}

/** The registration of the provider in use: the one that `config.json` names, else the first of a `.local` provider. */
function mainRegistration(usable: readonly Registration[], provider: string | undefined): Registration {
  return (
    usable.find((registration) => registration.provider === provider) ??
    usable.find((registration) => registration.provider?.endsWith(".local")) ??
    usable[0] ??
    {}
  );
}

function registrationOf(file: Record<string, unknown>): Registration {
  const base = text(file, "apiUrl") ?? text(file, "api_url");
  return {
    provider: text(file, "provider"),
    name: text(file, "agentName") ?? text(file, "agent_name"),
    address: text(file, "address"),
    tenant: text(file, "tenant"),
    agentId: text(file, "providerAgentId") ?? text(file, "agent_id"),
    apiKey: text(file, "apiKey") ?? text(file, "api_key"),
    endpoint: apiBase(base === undefined || /\/v1\/?$/.test(base) ? base : `${base.replace(/\/+$/, "")}/v1`),
    registeredAt: text(file, "registeredAt") ?? text(file, "registered_at"),
  };
}

function apiBase(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? url.replace(/\/+$/, "") : undefined;
}

/** 8-4-4-4-12 hex digits; the plugin's own fallback makes the fourth group one too long. */
function uuid(name: string): string | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4,5}-[0-9a-f]{12}$/i.test(name) ? name : undefined;
}

/** The JSON object in a file; empty where there is none. */
export async function readObject(disk: Disk, path: string): Promise<Record<string, unknown>> {
  const parsed = await readSettled(disk, path);
  return isObject(parsed) ? parsed : {};
}

/** What is in a JSON file. Scripts write in place: one that is not JSON just after a change is looked at again. */
async function readSettled(disk: Disk, path: string): Promise<unknown> {
  for (let look = 1; ; look++) {
    const content = await disk.read(path, CONFIG_FILE_MAX_BYTES);
    const parsed = content === undefined ? undefined : parseJson(content);
    if (isObject(parsed) || content === undefined || look === TORN_LOOKS) return parsed;
    if (await disk.isOlderThan(path, TORN_AGE)) return parsed;
    await pause(TORN_PAUSE);
  }
}

/**
 * The JSON object in a file that is about to be changed, so that nothing which others wrote into it is lost: empty
 * where there is no file.
 *
 * @throws AmpError `storage_failed` where something else than a JSON object is in it.
 */
export async function readObjectToChange(disk: Disk, path: string): Promise<Record<string, unknown>> {
  const parsed = await readSettled(disk, path);
  if (isObject(parsed)) return parsed;
  if (parsed === undefined && (await disk.about(path)) === undefined) return {};
  throw new AmpError("storage_failed", {
    message: `${path} is damaged: expected a JSON object, found something else.`,
    notDone: "it was left as it is, and nothing was added to it.",
    next: "Restore it from a backup, or move it away; then call again.",
    mender: "person",
  });
}

export function privateKeyFile(directory: string): string {
  return join(directory, "keys", "private.pem");
}

export function publicKeyFile(directory: string): string {
  return join(directory, "keys", "public.pem");
}

/**
 * Whether a directory may be another one of the same agent: it holds the same key file, or none. The files' text is
 * compared, because the code for keys takes longer to load than a hook has.
 */
export async function holdsSameKey(disk: Disk, theirs: string, ours: string): Promise<boolean> {
  let holdsAny = false;
  for (const file of [publicKeyFile, privateKeyFile]) {
    const [their, our] = await Promise.all([theirs, ours].map((directory) => pemBody(disk, file(directory))));
    if (their !== undefined && our !== undefined) return their === our;
    holdsAny ||= their !== undefined;
  }
  return !holdsAny;
}

async function pemBody(disk: Disk, path: string): Promise<string | undefined> {
  const pem = await disk.read(path, CONFIG_FILE_MAX_BYTES);
  const body = /-----BEGIN [A-Z ]+-----([A-Za-z0-9+/=\s]+)-----END/.exec(pem?.replaceAll("\\n", "\n") ?? "")?.[1];
  return body?.replace(/\s/g, "");
}
