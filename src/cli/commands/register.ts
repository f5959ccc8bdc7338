import type { Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

interface Options extends CommonOptions {
  name: string;
  tenant?: string;
  alias?: string;
}

const WHAT = {
  new: "Registered",
  renewed: "Registered again, same key pair, new API key",
  kept: "Already registered; the API key in use still works",
} as const;

export function registerCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs({ ...options, agent: options.name }, env, output, async (agent) => {
    const { profile, outcome } = await agent.register({
      name: options.name,
      tenant: options.tenant,
      alias: options.alias,
    });
    const fingerprint = await agent.fingerprint();
    return {
      lines: [
        `${WHAT[outcome]}: ${profile.address}`,
        `Provider:    ${profile.endpoint}`,
        `Fingerprint: ${fingerprint}`,
        `Directory:   ${profile.directory}`,
      ],
      json: {
        result: outcome,
        address: profile.address,
        provider_url: profile.endpoint,
        fingerprint,
        directory: profile.directory,
      },
    };
  });
}
