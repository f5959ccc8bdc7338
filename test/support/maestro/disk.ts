import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isObject, type RegisteredAgent } from "./state.ts";

/** What the current AI Maestro does in its HOME, which is often its agents' HOME as well. */

function agentsDirectory(home: string): string {
  return path.join(home, ".agent-messaging", "agents");
}

/**
 * At a registration: a directory that stands under the agent's name is moved to the agent's id, unless something
 * stands there (a symbolic link does, also a broken one); then the skeleton and the index.
 */
export function makeAgentHome(home: string, agent: RegisteredAgent) {
  const agents = agentsDirectory(home);
  const own = path.join(agents, agent.id);
  mkdirSync(agents, { recursive: true });
  const named = path.join(agents, agent.name);
  if (agent.name !== agent.id && exists(named) && !exists(own)) renameSync(named, own);
  for (const folder of ["keys", "messages/inbox", "messages/sent", "registrations"]) {
    mkdirSync(path.join(own, folder), { recursive: true });
  }
  writeConfig(path.join(own, "config.json"), agent);
  const index = path.join(agents, ".index.json");
  writeFileSync(`${index}.tmp`, JSON.stringify({ ...readObject(index), [agent.name]: agent.id }, null, 2));
  renameSync(`${index}.tmp`, index);
}

function writeConfig(file: string, agent: RegisteredAgent) {
  const known = readObject(file);
  const config = isObject(known?.agent)
    ? { ...known, agent: { ...known.agent, id: agent.id } }
    : (known ?? {
        version: "amp/0.1",
        agent: { name: agent.name, id: agent.id },
        created_at: new Date().toISOString(),
      });
  writeFileSync(file, JSON.stringify(config, null, 2));
}

/** Puts a message into an inbox, not atomically: the file is opened under its name and written in place. */
export function writeToInbox(
  home: string,
  agentId: string,
  from: string,
  message: Record<string, unknown>,
  id: string,
) {
  const folder = path.join(agentsDirectory(home), agentId, "messages", "inbox", from.replace(/[@.]/g, "_"));
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `${id}.json`), JSON.stringify(message, null, 2), { mode: 0o644 });
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function readObject(file: string): Record<string, unknown> | undefined {
  if (!existsSync(file)) return undefined;
  const value: unknown = JSON.parse(readFileSync(file, "utf8"));
  return isObject(value) ? value : undefined;
}
