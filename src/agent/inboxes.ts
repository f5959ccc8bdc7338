import { join } from "node:path";
import type { Home } from "../store/home.ts";
import { holdsSameKey, type Profile } from "../store/profile.ts";

/** Where mail for one agent may lie on this machine. */
export class Inboxes {
  readonly #home: Home;
  readonly #profile: Profile;
  #directories: { stamp: string; found: readonly string[] } | undefined;

  constructor(home: Home, profile: Profile) {
    this.#home = home;
    this.#profile = profile;
  }

  /** Where what this program receives is kept. It may not exist yet. */
  get own(): string {
    return join(this.#profile.directory, "messages", "inbox");
  }

  /** Whether the agent's own directory is where it was. */
  async isThere(): Promise<boolean> {
    return (await this.#home.disk.realDirectory(this.#profile.directory)) !== undefined;
  }

  /**
   * True paths of the inbox directories that exist. Tools file under the name, the indexed id or the agent id; often
   * these are one directory. One that holds another key is another agent's, whatever an index says.
   */
  async directories(): Promise<string[]> {
    const found = await this.#agentDirectories();
    const inboxes = found.map((agent) => this.#home.disk.realDirectory(join(agent, "messages", "inbox")));
    return [...new Set((await Promise.all(inboxes)).filter((path) => path !== undefined))];
  }

  /** Looked for again when the index or a name in `agents/` has changed: every list asks twice. */
  async #agentDirectories(): Promise<readonly string[]> {
    const { disk, indexFile, agents } = this.#home;
    const stamp = `${disk.stamp(indexFile)} ${disk.stamp(agents)}`;
    if (this.#directories?.stamp !== stamp) this.#directories = { stamp, found: await this.#find() };
    return this.#directories.found;
  }

  async #find(): Promise<string[]> {
    const { name, agentId, directory } = this.#profile;
    const indexed = (await this.#home.index()).get(name);
    const own = await this.#home.disk.realDirectory(directory);
    const found = new Set(own === undefined ? [] : [own]);
    for (const id of [indexed, agentId, name]) {
      const real = id === undefined ? undefined : await this.#home.inside(join(this.#home.agents, id));
      if (real !== undefined && !found.has(real) && (await holdsSameKey(this.#home.disk, real, directory)))
        found.add(real);
    }
    return [...found];
  }
}
