import { randomUUID } from "node:crypto";
import * as z from "zod";
import { AmpError } from "../errors.ts";
import { isAgentName, messageFileName } from "../wire/address.ts";
import { isObject, parseJson } from "../wire/json.ts";
import { claim, type Disk, names, readText } from "./disk.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isAgentId(text: string): boolean {
  return UUID.test(text);
}

/** One registration, as it lies in `agents/`. */
const agentSchema = z.object({
  name: z.string().refine(isAgentName),
  /** UUID, lower case. Names the agent's queue. */
  agent_id: z.string().regex(UUID),
  /** The registered address, scope included: the `from` of what it sends, and what it signs with. */
  address: z.string(),
  /** The same without the scope. */
  short_address: z.string(),
  scope: z.array(z.string()),
  /** Raw, 64 hex digits. */
  public_key: z.string().regex(/^[0-9a-f]{64}$/),
  fingerprint: z.string(),
  alias: z.string(),
  delivery: z.custom<Record<string, unknown>>(isObject),
  /** ISO 8601. */
  registered_at: z.string(),
});
export type Agent = z.infer<typeof agentSchema>;

export type Admission = { agent: Agent } | { taken: "name" | "key" };

/**
 * Who is registered. Nothing is kept in memory: another process may serve the same directory.
 *
 * A registration takes an id, a key and a name, in this order and each by an exclusive link to one complete record.
 * The name is what counts. A process killed in between leaves a record under its key, and whoever meets it next
 * completes it; where the name has gone to another key meanwhile, the record is dead for ever (names are never freed)
 * and the key may be taken anew under the next number.
 */
export class Directory {
  readonly #disk: Disk;
  static readonly folders = ["agents", "agent-ids", "public-keys"] as const;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** By exact name, lower case. */
  find(name: string): Promise<Agent | undefined> {
    return this.#read(this.#nameFile(name));
  }

  /** Everybody, in the order of registration. */
  async list(): Promise<Agent[]> {
    const files = (await names(this.#disk.path("agents"))).filter((file) => file.endsWith(".json"));
    const agents = await Promise.all(files.map((file) => this.#read(this.#disk.path("agents", file))));
    return agents
      .filter((agent) => agent !== undefined)
      .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : sortKey(a) > sortKey(b) ? 1 : 0));
  }

  /**
   * Registers `candidate`, or finds the registration it repeats (same name, same key), which keeps its id. An id
   * that somebody else has is replaced by a new one.
   */
  async admit(candidate: Agent): Promise<Admission> {
    const holder = await this.find(candidate.name);
    if (holder) return admission(candidate, holder);
    const draft = await this.#draft(candidate);
    try {
      return await this.#claimKeyAndName(candidate, draft);
    } finally {
      await this.#disk.discard(draft);
    }
  }

  async update(agent: Agent): Promise<void> {
    await this.#disk.publish(agent, this.#nameFile(agent.name));
  }

  async #claimKeyAndName(candidate: Agent, draft: string): Promise<Admission> {
    for (let generation = 0; ; generation++) {
      const keyFile = this.#disk.path("public-keys", `${candidate.public_key}.${generation}.json`);
      await claim(draft, keyFile);
      const claimed = await this.#read(keyFile);
      if (!claimed) throw unreadable(keyFile);
      await claim(keyFile, this.#nameFile(claimed.name));
      const winner = await this.find(claimed.name);
      if (!winner) throw unreadable(this.#nameFile(claimed.name));
      if (winner.public_key === candidate.public_key || winner.name === candidate.name) {
        return admission(candidate, winner);
      }
    }
  }

  /** A flushed record whose id is taken for it. */
  async #draft(candidate: Agent): Promise<string> {
    for (let agent = candidate; ; agent = { ...candidate, agent_id: randomUUID() }) {
      const draft = await this.#disk.draft(agent);
      const idFile = this.#disk.path("agent-ids", `${agent.agent_id}.json`);
      if (await claim(draft, idFile)) return draft;
      const owner = await this.#read(idFile);
      // Left by an attempt of the same agent that was killed before it got its name.
      if (owner?.name === agent.name && owner.public_key === agent.public_key) return draft;
      await this.#disk.discard(draft);
    }
  }

  #nameFile(name: string): string {
    return this.#disk.path("agents", messageFileName(name));
  }

  async #read(file: string): Promise<Agent | undefined> {
    const text = await readText(file);
    if (text === undefined) return undefined;
    const agent = agentSchema.safeParse(parseJson(text));
    if (!agent.success) throw unreadable(file);
    return agent.data;
  }
}

function sortKey(agent: Agent): string {
  return `${agent.registered_at} ${agent.name}`;
}

function admission(candidate: Agent, winner: Agent): Admission {
  if (winner.public_key !== candidate.public_key) return { taken: "name" };
  return winner.name === candidate.name ? { agent: winner } : { taken: "key" };
}

function unreadable(file: string): AmpError {
  return new AmpError("storage_failed", {
    message: `The provider's record ${file} was expected to be a registration and is not.`,
    notDone: "Nothing was changed.",
    next: "Restore this file from a backup, or move it away to free the name.",
    mender: "person",
  });
}
