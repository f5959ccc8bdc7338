import { join } from "node:path";
import { isObject, parseJson } from "../wire/json.ts";
import { CONFIG_FILE_MAX_BYTES } from "../wire/limits.ts";
import { checkAgent } from "./check-agent.ts";
import { isTemporary } from "./disk.ts";
import type { Finding } from "./findings.ts";
import type { Home } from "./home.ts";
import type { Profile } from "./profile.ts";
import { indexName, linkToName } from "./registration.ts";

/** Everything that is wrong in one config directory: what several tools made of it over time. */
export async function checkHome(home: Home): Promise<Finding[]> {
  const profiles = await home.profiles();
  const checks = await Promise.all([
    ...profiles.map((profile) => checkAgent(home, profile)),
    strays(home, profiles),
    index(home, profiles),
    Promise.resolve(claimedTwice(profiles)),
    leftOvers(home, profiles),
  ]);
  return checks.flat();
}

/** Directories without an agent in them, and links to nowhere or out of here. Mail may lie in them unseen. */
async function strays(home: Home, profiles: readonly Profile[]): Promise<Finding[]> {
  const known = new Set(profiles.map(({ directory }) => directory));
  const entries = await home.index();
  // AI Maestro files under these, and every look into the inbox takes them in.
  const looked = new Set(profiles.flatMap(({ name, agentId }) => [agentId, entries.get(name)]));
  const findings: Finding[] = [];
  for (const name of await home.disk.names(home.agents)) {
    const path = join(home.agents, name);
    const kind = (await home.disk.about(path))?.kind;
    if (kind === "file" || name.startsWith(".")) continue;
    const real = await home.inside(path);
    if (real === undefined)
      findings.push({
        path,
        problem: "is a link to nowhere, or out of the config directory",
        advice: "Remove it, unless you know what it is for.",
      });
    else if (!known.has(real) && !looked.has(name)) {
      const isNamed = profiles.some((profile) => profile.name === name);
      findings.push(await strayDirectory(home, path, isNamed));
    }
  }
  return findings;
}

async function strayDirectory(home: Home, path: string, isNamed: boolean): Promise<Finding> {
  const mail = (await home.disk.names(join(path, "messages", "inbox"))).length;
  if (mail > 0 && isNamed)
    return {
      path,
      problem: "holds mail beside the agent's own directory; the guide's scripts may take it for the agent",
      advice: "amp-mcp shows this mail. Move it to the agent's own messages/inbox/, then remove this directory.",
    };
  if (mail === 0)
    return {
      path,
      problem: "holds no agent (no keys, no registration)",
      advice: "Remove it if it is empty; scripts leave such behind.",
    };
  return {
    path,
    problem: "holds mail but no agent, so that no tool shows it",
    advice: "Move its messages/ to the agent that they are meant for.",
  };
}

/** Names that scripts look up in `.index.json`, and ids that AI Maestro looks up as directories. */
async function index(home: Home, profiles: readonly Profile[]): Promise<Finding[]> {
  const entries = await home.index();
  const findings: Finding[] = [];
  const content = await home.disk.read(home.indexFile, CONFIG_FILE_MAX_BYTES);
  if (content !== undefined && !isObject(parseJson(content))) {
    return [
      {
        path: home.indexFile,
        problem: "is damaged",
        advice: "Restore it, or move it away and run: amp-mcp doctor --fix",
      },
    ];
  }
  for (const { name, directory, agentId } of profiles) {
    // Of two that claim one name a person has to choose first.
    if (profiles.filter((profile) => profile.name === name).length > 1) continue;
    if (directory === (await home.inside(home.root))) continue;
    const entry = entries.get(name);
    const target = entry === undefined ? undefined : await home.inside(join(home.agents, entry));
    if (target !== directory && agentId !== undefined) {
      findings.push({
        path: home.indexFile,
        problem:
          entry === undefined ? `does not list ${name}` : `leads ${name} to ${entry}, which is not its directory`,
        repair: () => indexName(home, name, agentId, directory),
      });
    }
    const hasPlace = agentId === undefined || (await home.disk.about(join(home.agents, agentId))) !== undefined;
    if (!hasPlace) {
      findings.push({
        path: join(home.agents, agentId),
        problem: `is missing: AI Maestro would move ${name}'s directory away to that name`,
        repair: () => linkToName(home, { name, directory }, agentId),
      });
    }
  }
  return findings;
}

function claimedTwice(profiles: readonly Profile[]): Finding[] {
  const claims = new Map<string, Profile[]>();
  for (const profile of profiles) {
    const address = (profile.address ?? profile.name).toLowerCase();
    claims.set(address, [...(claims.get(address) ?? []), profile]);
  }
  return [...claims].flatMap(([address, claimants]) => {
    const [first, ...others] = claimants;
    if (first === undefined || others.length === 0) return [];
    const places = others.map(({ directory }) => directory).join(", ");
    return [
      {
        path: first.directory,
        problem: `${address} is claimed by ${places} too`,
        advice: "Keep the one whose key the provider knows; move the other away.",
      },
    ];
  });
}

/** Temporary files of processes that ended in the middle of a write. */
async function leftOvers(home: Home, profiles: readonly Profile[]): Promise<Finding[]> {
  const inner = ["", "keys", "registrations", "messages/inbox", "messages/sent"];
  const places = [
    home.root,
    home.agents,
    ...profiles.flatMap(({ directory }) => inner.map((part) => join(directory, part))),
  ];
  for (const { directory } of profiles) {
    for (const box of ["inbox", "sent"]) {
      const folder = join(directory, "messages", box);
      for (const name of await home.disk.names(folder)) if (!name.endsWith(".json")) places.push(join(folder, name));
    }
  }
  const findings: Finding[] = [];
  for (const place of new Set(places)) {
    for (const name of (await home.disk.names(place)).filter(isTemporary)) {
      const path = join(place, name);
      if (await home.disk.isOlderThan(path, LEFT_OVER_AGE)) {
        findings.push({
          path,
          problem: "was left by a process that ended while writing",
          repair: () => home.disk.remove(path),
        });
      }
    }
  }
  return findings;
}

/** Milliseconds; a write takes far less. */
const LEFT_OVER_AGE = 60_000;
