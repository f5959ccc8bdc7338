import { randomUUID } from "node:crypto";
import type { Http } from "../client/http.ts";
import { checkedUrl } from "../client/origin.ts";
import { register as ask, discover, type Found, ProviderClient, TenantMismatch } from "../client/provider.ts";
import { AmpError } from "../errors.ts";
import type { Home } from "../store/home.ts";
import type { Profile } from "../store/profile.ts";
import {
  keepRegistration,
  linkToName,
  type Prepared,
  prepareRegistration,
  whileRegistering,
} from "../store/registration.ts";
import { isAgentName, isDeviceName, parseAddress } from "../wire/address.ts";
import type { Registered, RegisterRequest } from "../wire/api.ts";
import { publicKeyToPem } from "../wire/keys.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { Identity } from "./identity.ts";
import type { Settings } from "./settings.ts";

export interface RegistrationRequest {
  name: string;
  /** As the user gave it; it stays the one that is used. */
  providerUrl?: string;
  /** Default: what the provider says of itself. */
  tenant?: string | undefined;
  alias?: string | undefined;
}

export interface Registration {
  profile: Profile;
  /** `new`: the first time here; `renewed`: same key pair, new API key; `kept`: the API key in use still works. */
  outcome: "new" | "renewed" | "kept";
}

interface Context {
  home: Home;
  http: Http;
  settings: Settings;
  identity: Identity | undefined;
}

/**
 * Registers a name with a provider. Keys that are there are used; the API key is on disk before anything else
 * happens with it. A wrong tenant is corrected once, by the provider's own word.
 *
 * @throws AmpError `invalid_argument`, `other_agent`, `name_taken`, `tenant_mismatch`, and what the network says.
 */
export async function register(
  context: Context,
  request: RegistrationRequest & { providerUrl: string },
  signal?: AbortSignal,
): Promise<Registration> {
  const name = checkedName(request.name, context);
  const url = checkedUrl(request.providerUrl, context.settings.allowHttp);
  const found = await discover(context.http, url, signal);
  return whileRegistering(context.home, name, async () => {
    const configured = context.identity && context.identity.kind !== "none" ? context.identity.profile : undefined;
    const before = configured ?? (await context.home.find(name));
    const prepared = await prepareRegistration(context.home, name, before);
    try {
      const answer = await askWithTenant(context, found, prepared, request, signal);
      const profile = await keepRegistration(context.home, prepared, answer, found.base);
      return { profile, outcome: before?.apiKey === undefined ? "new" : "renewed" };
    } catch (thrown) {
      const kept =
        before && isNameTaken(thrown) ? await confirmed(context, found, prepared, before, signal) : undefined;
      if (kept) return { profile: kept, outcome: "kept" };
      throw context.settings.agent !== undefined && isNameTaken(thrown)
        ? pinnedNameTaken(thrown, context.settings.agent.from)
        : thrown;
    }
  });
}

function checkedName(given: string, { identity, settings }: Context): string {
  const name = given.trim().toLowerCase();
  if (!isAgentName(name)) {
    throw new AmpError("invalid_argument", {
      message: `name: expected 1 to 63 letters, digits and hyphens, not starting or ending with a hyphen; found "${oneLine(given, 80)}".`,
      notDone: "nothing was registered.",
      next: "Choose such a name and call again.",
      mender: "caller",
    });
  }
  if (isDeviceName(name)) {
    throw new AmpError("invalid_argument", {
      message: `name: "${name}" is the name of a device on Windows, where no directory can be called so.`,
      notDone: "nothing was registered.",
      next: `Choose another name, for example ${name}-agent, and call again.`,
      mender: "caller",
    });
  }
  const current = identity?.kind === "none" ? wantedName(identity.wanted) : identity?.profile.name;
  const isPinned = settings.agent !== undefined || identity?.kind === "registered";
  if (isPinned && current !== undefined && current !== name) {
    throw new AmpError("other_agent", {
      message: `This process acts as "${oneLine(current, 63)}" (${settings.agent?.from ?? "registered already"}), not as "${name}".`,
      notDone: "nothing was registered.",
      next: `Register "${oneLine(current, 63)}", or start another server with --agent ${name} for that name.`,
      mender: "person",
    });
  }
  return name;
}

/** The name that a configuration asks for, also by an address. An id of nobody yet asks for no name. */
function wantedName(wanted: string | undefined): string | undefined {
  const name = wanted === undefined ? undefined : parseAddress(wanted)?.name;
  return name !== undefined && !/^[0-9a-f]{8}-[0-9a-f]{4}-/.test(name) ? name : undefined;
}

async function askWithTenant(
  context: Context,
  found: Found,
  prepared: Prepared,
  request: RegistrationRequest,
  signal: AbortSignal | undefined,
): Promise<Registered> {
  const first: RegisterRequest = {
    tenant: request.tenant ?? tenantOf(found),
    name: prepared.name,
    public_key: publicKeyToPem(prepared.keys.publicKey),
    key_algorithm: "Ed25519",
    ...(request.alias === undefined ? {} : { alias: request.alias }),
    agent_id: prepared.agentId,
  };
  try {
    return await ask(context.http, found.base, first, signal);
  } catch (thrown) {
    if (thrown instanceof TenantMismatch)
      return ask(context.http, found.base, { ...first, tenant: thrown.expectedTenant }, signal);
    // AI Maestro answers 500 to an id that belonged to a deleted agent; a fresh one goes through.
    if (!(thrown instanceof AmpError) || thrown.status !== 500) throw thrown;
    const agentId = randomUUID();
    await linkToName(context.home, prepared, agentId);
    return ask(context.http, found.base, { ...first, agent_id: agentId }, signal);
  }
}

/** `testorg` of `testorg.aimaestro.local`, and of `vm.testorg.aimaestro.local`, where the host comes first. */
function tenantOf(found: Found): string {
  return found.discovery.provider?.split(".").at(-3) ?? "local";
}

/** The name stands in the configuration, where only a person can change it. */
function pinnedNameTaken(taken: AmpError, from: string): AmpError {
  const example = /for example ([a-z0-9-]+)/.exec(taken.next)?.[1];
  return new AmpError(taken.code, {
    message: taken.message,
    notDone: "the agent was not registered.",
    next: `A person has to choose another name in the configuration of this server (${from}${example === undefined ? "" : `, for example ${example}`}) and restart it.`,
    mender: "person",
    cause: taken,
  });
}

function isNameTaken(thrown: unknown): thrown is AmpError {
  return thrown instanceof AmpError && thrown.code === "name_taken";
}

/**
 * The first AI Maestro never gives a second API key. If ours still works, the registration stands; a crash may have
 * kept the rest of its answer from disk, and then it is written again from what the provider says of itself.
 */
async function confirmed(
  context: Context,
  found: Found,
  prepared: Prepared,
  before: Profile,
  signal: AbortSignal | undefined,
): Promise<Profile | undefined> {
  if (before.apiKey === undefined) return undefined;
  const works = await new ProviderClient(context.http, found.base, before.apiKey).pending({ limit: 1, signal }).then(
    () => true,
    () => false,
  );
  if (!works) return undefined;
  const provider = found.discovery.provider?.split(".").slice(-3).join(".");
  const address = before.address ?? (provider === undefined ? undefined : `${prepared.name}@${provider}`);
  if (address === undefined) return undefined;
  const tenant = before.tenant ?? parseAddress(address)?.tenant;
  const answer: Registered = {
    address,
    api_key: before.apiKey,
    agent_id: before.agentId,
    tenant,
    provider: { name: before.providerName ?? provider },
    registered_at: before.registeredAt,
  };
  return keepRegistration(context.home, prepared, answer, found.base);
}
