import { AmpError } from "../errors.ts";
import { ambiguousAgent, type Home } from "../store/home.ts";
import { type Profile, type RegisteredProfile, readProfile } from "../store/profile.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { Settings } from "./settings.ts";

export type Identity =
  | { kind: "registered"; profile: RegisteredProfile }
  /** Keys or parts of a registration are there; `amp_register` completes it. */
  | { kind: "incomplete"; profile: Profile; missing: string[] }
  /** Nothing is there yet. `wanted` is the name that the configuration asks for. */
  | { kind: "none"; wanted: string | undefined };

/**
 * Which agent this process is, by configuration or because there is only one. It is never picked by chance.
 *
 * @throws AmpError `ambiguous_agent`, with the candidates and how to choose.
 */
export async function resolveIdentity(home: Home, settings: Settings): Promise<Identity> {
  if (settings.agent) {
    const profile = await home.find(settings.agent.value);
    return profile ? identityOf(profile) : { kind: "none", wanted: settings.agent.value.toLowerCase() };
  }
  if (settings.agentDirectory) {
    const real = await home.disk.realDirectory(settings.agentDirectory.value);
    return real === undefined ? { kind: "none", wanted: undefined } : identityOf(await readProfile(home.disk, real));
  }
  const identities = (await home.profiles()).map(identityOf);
  const usable = identities.filter(({ kind }) => kind === "registered");
  const [only, ...others] = usable.length > 0 ? usable : identities;
  if (only === undefined) return { kind: "none", wanted: undefined };
  if (others.length > 0) {
    const all = [only, ...others].flatMap((one) => (one.kind === "none" ? [] : [one.profile]));
    throw ambiguousAgent(all, home.root);
  }
  return only;
}

export function identityOf(profile: Profile): Identity {
  const { address, apiKey, endpoint, hasPrivateKey } = profile;
  if (address !== undefined && apiKey !== undefined && endpoint !== undefined && hasPrivateKey) {
    return { kind: "registered", profile: { ...profile, address, apiKey, endpoint } };
  }
  const parts = {
    address,
    "API key": apiKey,
    "provider endpoint": endpoint,
    "private key": hasPrivateKey || undefined,
  };
  const missing = Object.entries(parts).flatMap(([name, value]) => (value === undefined ? [name] : []));
  return { kind: "incomplete", profile, missing };
}

/** Of several agents the one that was registered first; the command line's default, as the guide has it. */
export async function firstRegistered(home: Home): Promise<Profile | undefined> {
  const registered = (await home.profiles()).filter((profile) => identityOf(profile).kind === "registered");
  const time = (profile: Profile) => Date.parse(profile.registeredAt ?? "") || Number.MAX_SAFE_INTEGER;
  return registered.sort((a, b) => time(a) - time(b) || a.name.localeCompare(b.name))[0];
}

/** @throws AmpError `not_registered` or `agent_incomplete`, unless the identity can send and receive. */
export function requireRegistered(identity: Identity): RegisteredProfile {
  if (identity.kind === "registered") return identity.profile;
  if (identity.kind === "incomplete") {
    throw new AmpError("agent_incomplete", {
      message: `The agent "${oneLine(identity.profile.name, 63)}" in ${identity.profile.directory} has no ${identity.missing.join(", no ")}.`,
      notDone: "nothing was sent or read.",
      next: `Call amp_register with name "${oneLine(identity.profile.name, 63)}" to complete it; its keys are kept.`,
      mender: "caller",
    });
  }
  const named = identity.wanted === undefined ? "" : ` under the name "${oneLine(identity.wanted, 63)}"`;
  throw new AmpError("not_registered", {
    message: `No agent is registered here yet${named}.`,
    notDone: "nothing was sent or read.",
    next: `Call amp_register with a name${identity.wanted === undefined ? "" : ` ("${oneLine(identity.wanted, 63)}")`}, or run: amp-mcp register --name NAME.`,
    mender: "caller",
  });
}
