import { parseAddress } from "../wire/address.ts";
import type { Agent, Directory } from "./directory.ts";
import { Refusal } from "./refusal.ts";

/** The provider every AI Maestro speaks for, each for one tenant of it. */
const PROVIDER_DOMAIN = "aimaestro.local";
/** The host part by which a provider means itself. */
const SELF = "local";

export function providerName(tenant: string): string {
  return `${tenant}.${PROVIDER_DOMAIN}`;
}

/**
 * The agent that `to` means, in any case of letters: a bare name, `name@local`, `name@local.aimaestro.local`,
 * `name@<tenant>.aimaestro.local`, or the whole registered address with its scope. Names match whole or not at all;
 * AI Maestro falls back to the last part of a name, and delivers to somebody else.
 *
 * Throws a 404 in AI Maestro's words, or the 422 for an address of another provider.
 */
export async function findRecipient(directory: Directory, to: string, tenant: string): Promise<Agent> {
  const address = parseAddress(to);
  if (!address) throw unknown(to);
  const { name, provider, scope } = address;
  if (provider === PROVIDER_DOMAIN && address.tenant !== undefined) {
    if (address.tenant !== tenant && address.tenant !== SELF) throw unknownHost(name, address.tenant);
  } else if (provider?.includes(".")) {
    throw new Refusal(
      422,
      "external_provider",
      `Recipient is on external provider "${provider}". Send directly to that provider using its route_url from your registration.`,
    );
  } else if (provider !== undefined && provider !== SELF) {
    throw unknownHost(name, provider);
  }
  const agent = await directory.find(name);
  if (!agent || (scope.length > 0 && address.full !== agent.address)) throw unknown(name);
  return agent;
}

function unknown(name: string): Refusal {
  return new Refusal(404, "not_found", `Recipient '${name}' not found on any host`);
}

function unknownHost(name: string, host: string): Refusal {
  return new Refusal(404, "not_found", `Recipient '${name}' not found and target host '${host}' is not configured`);
}
