import { createHash, createPublicKey, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import { makeAgentHome } from "./disk.ts";
import {
  agentNamed,
  failure,
  isObject,
  type MaestroState,
  provider,
  type Received,
  type RegisteredAgent,
  type Reply,
  textOf,
} from "./state.ts";

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** What both versions advertise wherever they really listen; nothing answers there. */
export const ADVERTISED = "http://192.0.2.2:23000/api/v1";

export function register(state: MaestroState, request: Received): Reply {
  const body = isObject(request.body) ? request.body : {};
  const refused = checkFields(state, body);
  if (refused) return refused;
  const name = (textOf(body.name) ?? "").toLowerCase();
  const pem = textOf(body.public_key) ?? "";
  const publicKey = ed25519Key(pem);
  if (publicKey === undefined) {
    const message = "Invalid public key format. Must be PEM-encoded Ed25519 public key.";
    return failure(400, "invalid_field", message, { field: "public_key" });
  }
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const fingerprint = `SHA256:${createHash("sha256").update(raw).digest("base64")}`;
  const holder = agentNamed(state, name);
  if (holder) {
    // A lost API key can be had again from HEAD, with the same key pair; SEED knows no way back.
    if (state.version === "head" && holder.fingerprint === fingerprint) return registered(state, holder);
    return nameTaken(state, name);
  }
  if (state.version === "head" && [...state.agents.values()].some((agent) => agent.fingerprint === fingerprint)) {
    const message = "This public key is already associated with another agent";
    return failure(409, "key_already_registered", message, { details: { fingerprint } });
  }
  const wished = textOf(body.agent_id);
  const shortAddress = `${name}@${provider(state)}`;
  const agent: RegisteredAgent = {
    id: state.version === "head" && wished !== undefined && UUID.test(wished) ? wished : randomUUID(),
    name,
    address: `${name}@${scope(body.scope)}${provider(state)}`,
    shortAddress,
    alias: textOf(body.alias) ?? "Luciana",
    publicKey,
    publicKeyPem: pem,
    publicKeyHex: raw.toString("hex"),
    fingerprint,
  };
  state.agents.set(agent.id, agent);
  if (state.version === "head") makeAgentHome(state.home, agent);
  return registered(state, agent);
}

function checkFields(state: MaestroState, body: Record<string, unknown>): Reply | undefined {
  if (state.organization === null) {
    const message =
      "Organization must be configured before registering agents. Please complete the AI Maestro setup first.";
    const setup = { setup_url: "/setup" };
    const more = state.version === "head" ? { details: setup } : setup;
    return failure(400, "organization_not_set", message, { field: "organization", ...more });
  }
  const tenant = textOf(body.tenant);
  if (tenant === undefined) {
    const hint = state.version === "head" ? " (or provide a User Key via Authorization header)" : "";
    return missing("tenant", hint);
  }
  if (textOf(body.name) === undefined) return missing("name");
  if (textOf(body.public_key) === undefined) return missing("public_key");
  if (body.key_algorithm !== "Ed25519") {
    return failure(400, "invalid_field", 'key_algorithm must be "Ed25519"', { field: "key_algorithm" });
  }
  if (!NAME.test((textOf(body.name) ?? "").toLowerCase())) {
    const message = "name must be 1-63 characters, alphanumeric and hyphens only, cannot start or end with hyphen";
    return failure(400, "invalid_field", message, { field: "name" });
  }
  if (tenant === state.organization) return undefined;
  return failure(
    400,
    "invalid_field",
    `This AI Maestro instance is configured for organization '${state.organization}'. Cannot register under '${tenant}'.`,
    { field: "tenant", details: { expected_tenant: state.organization } },
  );
}

function missing(field: string, hint = ""): Reply {
  return failure(400, "missing_field", `${field} is required${hint}`, { field });
}

function nameTaken(state: MaestroState, name: string): Reply {
  const suggestions = [`${name}-2`, `${name}-3`, `${name}-nexus-dragon`];
  const more = state.version === "head" ? { details: { suggestions } } : { suggestions };
  return failure(409, "name_taken", `Agent name '${name}' is already registered`, more);
}

/** Each answer carries a new API key; those given out before stay valid. */
function registered(state: MaestroState, agent: RegisteredAgent): Reply {
  const apiKey = `amp_live_sk_${randomBytes(32).toString("hex")}`;
  state.apiKeys.set(apiKey, agent.id);
  const isHead = state.version === "head";
  return {
    status: 201,
    body: {
      address: agent.address,
      short_address: agent.shortAddress,
      local_name: agent.name,
      agent_id: agent.id,
      tenant_id: state.organization,
      ...(isHead && { tenant: state.organization }),
      api_key: apiKey,
      provider: {
        name: provider(state),
        endpoint: ADVERTISED,
        ...(isHead && { route_url: `${ADVERTISED}/route` }),
      },
      fingerprint: agent.fingerprint,
      registered_at: new Date().toISOString(),
    },
  };
}

function scope(value: unknown): string {
  if (!isObject(value)) return "";
  return [value.repo, value.platform].map((part) => (textOf(part) === undefined ? "" : `${part}.`)).join("");
}

function ed25519Key(pem: string): KeyObject | undefined {
  if (!pem.includes("BEGIN PUBLIC KEY")) return undefined;
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    return undefined;
  }
}
