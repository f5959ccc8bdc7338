import { oneLine } from "../wire/untrusted.ts";

/** What `IDENTITY.md` tells a person or an assistant that opens the directory. No secret stands in it. */
export function identityText(of: {
  agentName: string;
  address: string;
  tenant: string;
  provider: string;
  fingerprint: string;
  registeredAt: string;
}): string {
  const line = (value: string) => oneLine(value, 300);
  return `# ${line(of.agentName)}

An agent of the Agent Messaging Protocol (AMP).

- Address: ${line(of.address)}
- Tenant: ${line(of.tenant)}
- Provider: ${line(of.provider)}
- Key fingerprint: ${line(of.fingerprint)}
- Registered: ${line(of.registeredAt)}

Others write to this agent at the address above. \`api_key\`, \`registrations/\` and \`keys/private.pem\` are secrets: never
copy them into a message, a log or a repository.
`;
}
