import { basename, join, sep } from "node:path";
import { AmpError } from "../errors.ts";
import { isObject, parseJson } from "../wire/json.ts";
import { CONFIG_FILE_MAX_BYTES } from "../wire/limits.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { Disk } from "./disk.ts";
import { type Profile, readProfile } from "./profile.ts";

/**
 * One `~/.agent-messaging`: where the guide's scripts, the plugin's scripts, AI Maestro and this program keep their
 * agents, in four layouts. Everything in it is untrusted.
 */
export class Home {
  readonly root: string;
  readonly disk: Disk;

  constructor(root: string, disk: Disk) {
    this.root = root;
    this.disk = disk;
  }

  get agents(): string {
    return join(this.root, "agents");
  }

  get indexFile(): string {
    return join(this.agents, ".index.json");
  }

  /** `.index.json`: lower-case name to directory name. Entries that are no plain directory name are left out. */
  async index(): Promise<Map<string, string>> {
    const content = await this.disk.read(this.indexFile, CONFIG_FILE_MAX_BYTES);
    const parsed = content === undefined ? undefined : parseJson(content);
    const entries = isObject(parsed) ? Object.entries(parsed) : [];
    return new Map(entries.flatMap(([name, dir]) => (isDirectoryName(dir) ? [[name.toLowerCase(), dir]] : [])));
  }

  /**
   * Every directory that holds an agent's keys or registration, each once, whatever the number of links to it. Stray
   * directories (the plugin leaves empty ones), dangling links and links out of the root are passed over.
   */
  async profiles(): Promise<Profile[]> {
    const names = (await this.disk.names(this.agents)).filter((name) => !name.startsWith("."));
    const indexed = [...(await this.index()).values()];
    const paths = [...new Set([...names, ...indexed])].map((name) => join(this.agents, name));
    const found = new Map<string, Profile>();
    for (const path of [...paths, this.root]) {
      const real = await this.inside(path);
      if (real === undefined || found.has(real)) continue;
      const profile = await readProfile(this.disk, real);
      if (profile.hasPrivateKey || profile.apiKey !== undefined) found.set(real, profile);
    }
    return [...found.values()];
  }

  /** The true path of a directory if it lies in this home. */
  async inside(path: string): Promise<string | undefined> {
    const root = await this.disk.realDirectory(this.root);
    const real = await this.disk.realDirectory(path);
    if (root === undefined || real === undefined) return undefined;
    return real === root || real.startsWith(root + sep) ? real : undefined;
  }

  /**
   * The directory that a name, an agent id or an address stands for, by index, directory name or configuration.
   *
   * @throws AmpError `ambiguous_agent` where it stands for several, and no index or directory name says for which.
   */
  async find(wanted: string): Promise<Profile | undefined> {
    const key = wanted.toLowerCase();
    const direct = [(await this.index()).get(key), key, wanted].filter(isDirectoryName);
    for (const name of direct) {
      const real = await this.inside(join(this.agents, name));
      const profile = real === undefined ? undefined : await readProfile(this.disk, real);
      if (profile?.hasPrivateKey || profile?.apiKey !== undefined) return profile;
    }
    const fitting = (await this.profiles()).filter((profile) =>
      [profile.name, profile.address, profile.agentId].some((id) => id?.toLowerCase() === key),
    );
    if (fitting.length > 1) throw ambiguousAgent(fitting, this.root);
    return fitting[0];
  }
}

/** The candidates and how to choose; of agents that claim one name the directory tells which is meant. */
export function ambiguousAgent(profiles: readonly Profile[], root: string): AmpError {
  const isShared = ({ name }: Profile) => profiles.filter((other) => other.name === name).length > 1;
  const words = profiles
    .map((profile) => oneLine(isShared(profile) ? basename(profile.directory) : profile.name, 63))
    .sort();
  const names = profiles
    .map((profile) => {
      const name = oneLine(profile.name, 63);
      return isShared(profile) ? `${name} (in ${oneLine(basename(profile.directory), 63)})` : name;
    })
    .sort();
  return new AmpError("ambiguous_agent", {
    message: `${names.length} agents live in ${root}: ${names.slice(0, 20).join(", ")}. It is not clear which one to act as.`,
    notDone: "nothing was sent or read.",
    next: `A person has to choose in the host's configuration: --agent ${words[0]} in "args", or AMP_AGENT=${words[0]} in "env"; then restart this server.`,
    mender: "person",
  });
}

/** One path component that cannot lead elsewhere. */
function isDirectoryName(name: unknown): name is string {
  return typeof name === "string" && /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/.test(name) && !name.endsWith(".");
}
