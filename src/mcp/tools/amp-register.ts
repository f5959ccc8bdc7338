import * as z from "zod";
import { defineTool } from "../tool.ts";

const WHAT = {
  new: "Registered",
  renewed: "Registered again with the same key pair and a new API key",
  kept: "Already registered; the API key in use still works and was kept",
} as const;

export const ampRegister = defineTool({
  name: "amp_register",
  title: "Register with an AMP provider",
  description:
    "Make this assistant an agent that others can write to: creates its key pair (or uses the one that is there), registers the name with the provider and takes effect at once. Call it once, when amp_status says that nobody is registered. Returns the address to tell others.",
  input: z.strictObject({
    name: z.string().describe("Agent name: lower-case letters, digits, hyphens"),
    provider_url: z.string().optional().describe("Provider, e.g. http://localhost:23000 (default: the configured one)"),
    tenant: z.string().optional().describe("Organization; leave out to take the provider's own"),
    alias: z.string().max(100).optional().describe("Name for people"),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run(agent, { name, provider_url, tenant, alias }, { signal }) {
    const { profile, outcome } = await agent.register({ name, providerUrl: provider_url, tenant, alias }, signal);
    const facts = {
      result: outcome,
      address: profile.address,
      provider_url: profile.endpoint,
      tenant: profile.tenant,
      fingerprint: await agent.fingerprint(),
      directory: profile.directory,
      next: "tell others your address; amp_inbox shows what they write.",
    };
    return {
      text: [
        `${WHAT[outcome]}: ${facts.address} at ${facts.provider_url}`,
        ...(tenant !== undefined && tenant !== facts.tenant
          ? [`tenant: ${facts.tenant}; the provider has no other`]
          : []),
        `key fingerprint: ${facts.fingerprint}`,
        `directory: ${facts.directory} (keys and API key, readable by you alone)`,
        `next: ${facts.next}`,
      ].join("\n"),
      structured: facts,
    };
  },
});
