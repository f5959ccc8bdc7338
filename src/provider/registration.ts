import { randomUUID } from "node:crypto";
import { isAgentName, parseAddress } from "../wire/address.ts";
import { PATHS } from "../wire/api.ts";
import { canonicalJson, TooDeepError } from "../wire/canonical.ts";
import { isObject, text } from "../wire/json.ts";
import { fingerprint, parsePublicKey } from "../wire/keys.ts";
import { ALIAS_MAX_CHARS } from "../wire/limits.ts";
import type { ApiKeys } from "./api-keys.ts";
import { type Agent, type Directory, isAgentId } from "./directory.ts";
import { providerName } from "./recipient.ts";
import { invalidField, missingField, Refusal } from "./refusal.ts";

const NAME_RULE = "name must be 1-63 characters, alphanumeric and hyphens only, cannot start or end with hyphen";
const KEY_RULE = "Invalid public key format. Must be PEM-encoded Ed25519 public key.";
const SUGGESTIONS = 3;
const NAME_MAX_CHARS = 63;

type Body = Record<string, unknown>;

export interface Candidacy {
  candidate: Agent;
  /** What was said and may change when an agent registers again; what is left out stays as it was. */
  given: Partial<Pick<Agent, "alias" | "delivery">>;
}

/** Answers `POST /register`. `endpoint` is the API's base as the client reached it. */
export async function register(
  directory: Directory,
  apiKeys: ApiKeys,
  { candidate, given }: Candidacy,
  tenant: string,
  endpoint: string,
): Promise<Record<string, unknown>> {
  const admission = await directory.admit(candidate);
  if ("taken" in admission) {
    if (admission.taken === "name") throw await nameTaken(directory, candidate.name);
    throw new Refusal(409, "key_already_registered", "This public key is already associated with another agent", {
      details: { fingerprint: candidate.fingerprint },
    });
  }
  const { agent } = admission;
  const changed = { ...agent, ...given };
  if (canonicalJson(changed) !== canonicalJson(agent)) await directory.update(changed);
  return {
    address: agent.address,
    short_address: agent.short_address,
    local_name: agent.name,
    agent_id: agent.agent_id,
    tenant_id: tenant,
    tenant,
    api_key: await apiKeys.issue(agent, candidate.registered_at),
    provider: { name: providerName(tenant), endpoint, route_url: `${endpoint}${PATHS.route}` },
    fingerprint: agent.fingerprint,
    registered_at: candidate.registered_at,
  };
}

/** What a body asks to be registered. Throws AI Maestro's refusal for the first fault. */
export function readCandidate(body: Body, authorization: string | undefined, tenant: string, now: number): Candidacy {
  const asked = text(body, "tenant") ?? userKeyTenant(authorization);
  if (asked === undefined) {
    throw missingField("tenant", "tenant is required (or provide a User Key via Authorization header)");
  }
  const name = required(body, "name").toLowerCase();
  const pem = required(body, "public_key");
  if (body.key_algorithm !== "Ed25519") throw invalidField("key_algorithm", 'key_algorithm must be "Ed25519"');
  if (asked !== tenant) {
    // Word for word: clients of AI Maestro look for it.
    const message = `This AI Maestro instance is configured for organization '${tenant}'. Cannot register under '${asked}'.`;
    throw invalidField("tenant", message, { expected_tenant: tenant });
  }
  if (!isAgentName(name)) throw invalidField("name", NAME_RULE);
  const publicKey = pem.trim().startsWith("-----BEGIN PUBLIC KEY-----") ? parsePublicKey(pem) : undefined;
  if (!publicKey) throw invalidField("public_key", KEY_RULE);
  const scope = readScope(body.scope);
  const address = `${name}@${[...scope, providerName(tenant)].join(".")}`;
  if (parseAddress(address)?.full !== address) throw invalidField("scope", "scope must be labels of a domain name");
  const wantedId = text(body, "agent_id")?.toLowerCase() ?? "";
  const given = { ...readAlias(body.alias), ...readDelivery(body.delivery) };
  const candidate = {
    name,
    agent_id: isAgentId(wantedId) ? wantedId : randomUUID(),
    address,
    short_address: `${name}@${providerName(tenant)}`,
    scope,
    public_key: Buffer.from(publicKey).toString("hex"),
    fingerprint: fingerprint(publicKey),
    alias: name,
    delivery: {},
    ...given,
    registered_at: new Date(now).toISOString(),
  };
  return { candidate, given };
}

function required(body: Body, field: string): string {
  const value = text(body, field);
  if (value === undefined) throw missingField(field, `${field} is required`);
  return value;
}

/** AI Maestro's user key, `uk_<base64 of owner:tenant:random>`, stands in for the tenant and proves nothing. */
function userKeyTenant(authorization: string | undefined): string | undefined {
  const encoded = /^Bearer uk_([A-Za-z0-9+/_=-]+)$/.exec(authorization ?? "")?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8").split(":")[1] || undefined;
}

/** `{platform, repo}` become `repo.platform`, the labels before the tenant. */
function readScope(scope: unknown): string[] {
  return [text(scope, "repo"), text(scope, "platform")]
    .filter((label) => label !== undefined)
    .map((label) => label.toLowerCase());
}

function readAlias(alias: unknown): Candidacy["given"] {
  if (typeof alias !== "string" || alias === "") return {};
  if (alias.length > ALIAS_MAX_CHARS) throw invalidField("alias", `alias must be 1-${ALIAS_MAX_CHARS} characters`);
  return { alias };
}

function readDelivery(delivery: unknown): Candidacy["given"] {
  if (!isObject(delivery)) return {};
  try {
    canonicalJson({ delivery });
    return { delivery };
  } catch (thrown) {
    if (thrown instanceof TooDeepError) throw invalidField("delivery", `delivery is ${thrown.message}`);
    throw thrown;
  }
}

async function nameTaken(directory: Directory, name: string): Promise<Refusal> {
  const suggestions: string[] = [];
  for (let number = 2; suggestions.length < SUGGESTIONS; number++) {
    const ending = `-${number}`;
    const suggestion = `${name.slice(0, NAME_MAX_CHARS - ending.length)}${ending}`;
    if (!(await directory.find(suggestion))) suggestions.push(suggestion);
  }
  return new Refusal(409, "name_taken", `Agent name '${name}' is already registered`, { details: { suggestions } });
}
