import { randomUUID } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AmpError } from "../errors.ts";
import { isDeviceName } from "../wire/address.ts";
import type { Registered } from "../wire/api.ts";
import { isObject } from "../wire/json.ts";
import { fingerprint, generateKeyPair, type KeyPair, privateKeyToPem, publicKeyToPem, sameKey } from "../wire/keys.ts";
import { CHANGE_ATTEMPTS, CONFIG_FILE_MAX_BYTES, INDEX_RECHECK } from "../wire/limits.ts";
import { readKeyPair, readPublicKey } from "./agent-keys.ts";
import { PUBLIC_MODE, SECRET_MODE } from "./disk.ts";
import type { Home } from "./home.ts";
import { identityText } from "./identity-file.ts";
import { withLock } from "./lock.ts";
import {
  type Profile,
  privateKeyFile,
  publicKeyFile,
  type RegisteredProfile,
  readObject,
  readObjectToChange,
  readProfile,
} from "./profile.ts";

/** An agent that has its keys and its place, and can be registered with a provider. */
export interface Prepared {
  name: string;
  directory: string;
  keys: KeyPair;
  /** The id to ask the provider for. */
  agentId: string;
}

/** One registration of a name at a time; beside `agents/`, because a provider may rename a directory inside it. */
export function whileRegistering<T>(home: Home, name: string, work: () => Promise<T>): Promise<T> {
  return home.disk
    .makeDirectory(home.root)
    .then(() => withLock(home.disk, join(home.root, `.register-${name}.lock`), work));
}

/**
 * Makes everything that must exist before a provider is asked: the directory, the keys (those that are there are
 * used, never replaced), a provisional `config.json`, and the link from the agent id to the name that keeps AI
 * Maestro on the same machine from renaming the directory under us.
 */
export async function prepareRegistration(home: Home, name: string, existing: Profile | undefined): Promise<Prepared> {
  const { disk } = home;
  const directory = existing?.directory ?? join(home.agents, name);
  for (const part of ["", "keys", "registrations", "messages/inbox", "messages/sent", "attachments"]) {
    await disk.makeDirectory(join(directory, part));
  }
  const keys = await ensureKeys(home, directory);
  const agentId = existing?.agentId ?? randomUUID();
  const config = join(directory, "config.json");
  const provisional = { version: "1.1", agent_name: name, agent_id: agentId, agent: { name, id: agentId } };
  await disk.create(config, json(provisional), SECRET_MODE);
  const settled = await readProfile(disk, directory);
  const id = settled.agentId ?? agentId;
  const prepared = { name, directory, keys, agentId: id };
  await linkToName(home, prepared, id);
  return prepared;
}

/** `agents/<agent id>` -> `<name>`: AI Maestro moves `agents/<name>` away only where nothing has the id's name. */
export async function linkToName(home: Home, of: { name: string; directory: string }, agentId: string): Promise<void> {
  const isOurs = isNamed(of.directory, of.name) && isLinkName(agentId) && (await isInAgents(home, of.directory));
  if (isOurs) await home.disk.symlink(of.name, join(home.agents, agentId));
}

/** False for the protocol's single-agent layout, which keeps its agent in the root, and for what `AMP_DIR` names elsewhere. */
async function isInAgents(home: Home, directory: string): Promise<boolean> {
  return (await home.disk.realDirectory(dirname(directory))) === (await home.disk.realDirectory(home.agents));
}

function isNamed(directory: string, name: string): boolean {
  return basename(directory) === name;
}

async function ensureKeys(home: Home, directory: string): Promise<KeyPair> {
  const { disk } = home;
  const path = privateKeyFile(directory);
  if ((await disk.names(join(directory, "keys"))).includes(basename(path))) return existingKeys(home, directory);
  const fresh = await generateKeyPair();
  await disk.create(path, privateKeyToPem(fresh.privateKey), SECRET_MODE);
  return existingKeys(home, directory);
}

async function existingKeys(home: Home, directory: string): Promise<KeyPair> {
  const keys = await readKeyPair(home.disk, directory);
  if (keys === undefined) {
    throw new AmpError("agent_incomplete", {
      message: `${privateKeyFile(directory)} is there but holds no readable Ed25519 key in PKCS#8 PEM.`,
      notDone: "nothing was registered and the file was left as it is; a key is never replaced.",
      next: "Restore that file from a backup, or move the agent's directory away and register under a new name.",
      mender: "person",
    });
  }
  const publicKey = await readPublicKey(home.disk, directory);
  if (publicKey === undefined || !sameKey(publicKey, keys.publicKey)) {
    await home.disk.write(publicKeyFile(directory), publicKeyToPem(keys.publicKey), PUBLIC_MODE);
  } else await home.disk.create(publicKeyFile(directory), publicKeyToPem(keys.publicKey), PUBLIC_MODE);
  return keys;
}

/**
 * Keeps a registration. The API key comes first, because it is shown only once; after a crash anywhere behind it the
 * rest can be made again.
 *
 * @param endpoint base of the API that answered, which is what is used from now on; the one a provider advertises
 *   often leads nowhere.
 */
export async function keepRegistration(
  home: Home,
  prepared: Prepared,
  answer: Registered,
  endpoint: string,
): Promise<Profile> {
  const { disk } = home;
  const directory = await settledDirectory(home, prepared, answer);
  await disk.write(join(directory, "api_key"), `${answer.api_key}\n`, SECRET_MODE);
  const fields = registrationFields(prepared, answer, endpoint);
  await disk.makeDirectory(join(directory, "registrations"));
  await disk.write(join(directory, "registrations", `${fileStem(fields.provider)}.json`), json(fields), SECRET_MODE);
  const config = join(directory, "config.json");
  await disk.write(config, json(mergedConfig(await readObject(disk, config), fields)), SECRET_MODE);
  await disk.write(join(directory, "IDENTITY.md"), identityText(fields), PUBLIC_MODE);
  if (await isInAgents(home, directory)) {
    await linkAgentId(home, prepared, fields.providerAgentId, directory);
    await indexName(home, prepared.name, fields.providerAgentId, directory);
  }
  return readProfile(disk, directory);
}

/** Writes `config.json` and `api_key` again from what is left of a registration. Keys are not touched. */
export async function restoreConfig(home: Home, profile: RegisteredProfile): Promise<void> {
  const { disk } = home;
  const { directory } = profile;
  const key = await readPublicKey(disk, directory);
  const provider = profile.providerName ?? new URL(profile.endpoint).hostname;
  const fields = {
    provider,
    apiUrl: profile.endpoint,
    agentName: profile.name,
    tenant: profile.tenant ?? provider.split(".").at(-3) ?? "",
    address: profile.address,
    providerAgentId: profile.agentId ?? "",
    fingerprint: key === undefined ? "" : fingerprint(key),
    registeredAt: profile.registeredAt ?? "",
  };
  await disk.create(join(directory, "api_key"), `${profile.apiKey}\n`, SECRET_MODE);
  const config = join(directory, "config.json");
  await disk.write(config, json(mergedConfig(await readObject(disk, config), fields)), SECRET_MODE);
}

/** AI Maestro may have moved `agents/<name>` to `agents/<agent id>` while it answered; the key tells whose it is. */
async function settledDirectory(home: Home, prepared: Prepared, answer: Registered): Promise<string> {
  const candidates = [prepared.directory, join(home.agents, answer.agent_id ?? prepared.agentId)];
  for (const candidate of candidates) {
    const real = await home.disk.realDirectory(candidate);
    const key = real === undefined ? undefined : await readPublicKey(home.disk, real);
    if (real !== undefined && key !== undefined && sameKey(key, prepared.keys.publicKey)) return real;
  }
  // Neither place holds our key any more: make the first one again rather than lose the API key.
  await home.disk.makeDirectory(join(prepared.directory, "keys"));
  await home.disk.create(privateKeyFile(prepared.directory), privateKeyToPem(prepared.keys.privateKey), SECRET_MODE);
  await home.disk.create(publicKeyFile(prepared.directory), publicKeyToPem(prepared.keys.publicKey), PUBLIC_MODE);
  return prepared.directory;
}

export interface RegistrationFields {
  provider: string;
  apiUrl: string;
  routeUrl: string;
  fetchUrl: string;
  agentName: string;
  tenant: string;
  address: string;
  shortAddress: string;
  apiKey: string;
  providerAgentId: string;
  fingerprint: string;
  registeredAt: string;
}

/** Those of them that stand in `config.json`. */
type ConfigFields = Omit<RegistrationFields, "routeUrl" | "fetchUrl" | "shortAddress" | "apiKey">;

function registrationFields(prepared: Prepared, answer: Registered, endpoint: string): RegistrationFields {
  const provider = answer.provider.name ?? new URL(endpoint).hostname;
  return {
    provider,
    apiUrl: endpoint,
    routeUrl: `${endpoint}/route`,
    fetchUrl: `${endpoint}/messages/pending`,
    agentName: prepared.name,
    tenant: answer.tenant ?? answer.tenant_id ?? provider.split(".")[0] ?? "",
    address: answer.address,
    shortAddress: answer.short_address ?? "",
    apiKey: answer.api_key,
    providerAgentId: answer.agent_id ?? prepared.agentId,
    fingerprint: fingerprint(prepared.keys.publicKey),
    registeredAt: answer.registered_at ?? new Date().toISOString(),
  };
}

/**
 * The superset that the guide's and the plugin's scripts both read; members of others are kept. The guide's scripts
 * search the text for `"endpoint"`, so that word stands in it once.
 */
function mergedConfig(old: Record<string, unknown>, fields: ConfigFields): Record<string, unknown> {
  const { version: _v, agent_name: _n, agent_id: _i, address: _a, tenant: _t, provider, agent, ...others } = old;
  const { fingerprint: _f, registered_at: _r, ...rest } = others;
  const inner = isObject(agent) ? agent : {};
  const { name: _an, tenant: _at, address: _aa, fingerprint: _af, createdAt, id: _ai, ...innerRest } = inner;
  return {
    version: "1.1",
    agent_name: fields.agentName,
    agent_id: fields.providerAgentId,
    address: fields.address,
    tenant: fields.tenant,
    provider: {
      ...(isObject(provider) ? provider : {}),
      name: fields.provider,
      endpoint: fields.apiUrl,
      domain: fields.provider.split(".").slice(-2).join("."),
      maestro_url: new URL(fields.apiUrl).origin,
    },
    fingerprint: fields.fingerprint,
    registered_at: fields.registeredAt,
    agent: {
      name: fields.agentName,
      tenant: fields.tenant,
      address: fields.address,
      fingerprint: fields.fingerprint,
      createdAt: createdAt ?? fields.registeredAt,
      id: fields.providerAgentId,
      ...innerRest,
    },
    ...rest,
  };
}

async function linkAgentId(home: Home, prepared: Prepared, agentId: string, directory: string): Promise<void> {
  const { disk } = home;
  if (isNamed(directory, prepared.name)) {
    const old = join(home.agents, prepared.agentId);
    if (agentId !== prepared.agentId && (await disk.linkTarget(old)) === prepared.name) await disk.remove(old);
    await linkToName(home, prepared, agentId);
  } else await disk.symlink(basename(directory), join(home.agents, prepared.name));
}

/** A provider's id becomes a file name only if it looks like the ids that providers make. */
function isLinkName(agentId: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9-]{7,63}$/.test(agentId);
}

/**
 * Enters a name in `.index.json`, unless it leads to another live agent there. A damaged index is left alone: the
 * name is found by its directory, too, and `doctor` tells. Scripts read, merge and replace this file without a lock:
 * what they added meanwhile is taken up, and what they dropped of ours is added once more.
 */
export async function indexName(home: Home, name: string, agentId: string, directory: string): Promise<void> {
  const add = () => addToIndex(home, name, agentId, directory);
  await withLock(home.disk, join(home.root, ".index.lock"), async () => {
    for (let attempt = 1; attempt < CHANGE_ATTEMPTS && (await add()); attempt++) await pause(INDEX_RECHECK);
  });
}

/** `false` where there was nothing to add. */
async function addToIndex(home: Home, name: string, agentId: string, directory: string): Promise<boolean> {
  for (let attempt = 1; attempt < CHANGE_ATTEMPTS; attempt++) {
    const content = await home.disk.read(home.indexFile, CONFIG_FILE_MAX_BYTES);
    const index = await readObjectToChange(home.disk, home.indexFile).catch(() => undefined);
    if (index === undefined) return false;
    const current = index[name];
    const present = typeof current === "string" ? await home.inside(join(home.agents, current)) : undefined;
    if (present === directory) return false;
    if (present !== undefined && (await readPublicKey(home.disk, present)) !== undefined) return false;
    const linked = await home.inside(join(home.agents, agentId));
    const entry = isLinkName(agentId) && linked === directory ? agentId : basename(directory);
    const merged = json({ ...(content === undefined ? {} : index), [name]: entry });
    if (await home.disk.replace(home.indexFile, content, merged, PUBLIC_MODE)) return true;
  }
  return false;
}

function fileStem(provider: string): string {
  const isSafe = /^[A-Za-z0-9][A-Za-z0-9.-]{0,200}$/.test(provider) && !isDeviceName(provider);
  return isSafe ? provider : "provider";
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
