import { Agent, type AgentOptions } from "../agent/agent.ts";
import { type Flags, readSettings } from "../agent/settings.ts";
import { toAmpError } from "../errors.ts";
import { redact } from "../wire/secrets.ts";
import { type Answer, flushed, type Output, printAnswer, printError } from "./output.ts";

export interface CommonOptions extends Flags {
  json?: boolean;
}

/** Runs one command as one agent, prints its answer or its error, and closes what was opened. */
export async function runAs(
  options: CommonOptions,
  env: NodeJS.ProcessEnv,
  output: Output,
  work: (agent: Agent) => Promise<Answer>,
): Promise<number> {
  const isJson = options.json ?? false;
  const agent = openAgent(options, env, output, { pickFirst: true });
  try {
    const answer = await work(agent);
    printAnswer(output, await agent.address(), answer, isJson);
    return answer.isFailure ? 1 : 0;
  } catch (thrown) {
    const error = toAmpError(thrown);
    agent.log(thrown);
    printError(output, await agent.address(), error, isJson);
    return error.code === "invalid_argument" ? 2 : 1;
  } finally {
    await agent.close();
    await flushed();
  }
}

export function openAgent(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  output: Output,
  options: Partial<AgentOptions> = {},
): Agent {
  const isDebug = env.AMP_LOG === "debug";
  const log = (line: string) => output.stderr(`amp-mcp: ${redact(line)}\n`);
  return new Agent({ settings: readSettings(flags, env), ...(isDebug ? { log } : {}), ...options });
}
