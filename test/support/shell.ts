import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { testHome, testProvider } from "./assistant.ts";
import { type Ended, run } from "./command.ts";
import type { Home } from "./home.ts";

/** A home, a provider, and a command line whose words are all kept. */
export async function shell(...agents: string[]) {
  const { url, close } = await testProvider();
  const home = testHome();
  const printed: string[] = [];
  const amp = async (...args: string[]): Promise<Ended> => {
    const ended = await run(args, { env: home.env });
    printed.push(ended.stdout, ended.stderr);
    return ended;
  };
  const json = async (...args: string[]): Promise<Record<string, unknown>> => JSON.parse((await amp(...args)).stdout);
  for (const name of agents) expect((await amp("register", "-n", name, "-p", url)).code).toBe(0);
  return { url, home, amp, json, printed, close };
}

/** A secret of an agent, without its last line end. */
export const secretFile = (home: Home, agent: string, ...parts: string[]) =>
  readFileSync(home.at(".agent-messaging", "agents", agent, ...parts), "utf8").trim();
