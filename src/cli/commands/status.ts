import { statusView } from "../../agent/status-view.ts";
import type { Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

export function statusCommand(options: CommonOptions, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs(options, env, output, async (agent) => {
    const { lines, facts } = statusView(await agent.status());
    return { lines, json: facts };
  });
}
