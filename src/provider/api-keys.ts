import { createHash, randomBytes } from "node:crypto";
import * as z from "zod";
import { messageFileName } from "../wire/address.ts";
import { parseJson } from "../wire/json.ts";
import type { Agent, Directory } from "./directory.ts";
import { type Disk, readText } from "./disk.ts";
import { Refusal } from "./refusal.ts";

const PREFIX = "amp_live_sk_";
const API_KEY = /^amp_live_sk_[0-9a-f]{64}$/;
const recordSchema = z.object({ name: z.string(), agent_id: z.string() });

/**
 * Who holds which API key. Only SHA-256 hashes are kept, and a key is found by the hash of what was presented: no
 * byte of a secret is ever compared, so nothing can be learnt from how long it takes.
 */
export class ApiKeys {
  readonly #disk: Disk;
  readonly #directory: Directory;
  static readonly folder = "api-keys";

  constructor(disk: Disk, directory: Directory) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** A new key for `agent`, valid beside the older ones. It is shown once and cannot be had again. */
  async issue(agent: Agent, issuedAt: string): Promise<string> {
    const key = `${PREFIX}${randomBytes(32).toString("hex")}`;
    await this.#disk.publish({ name: agent.name, agent_id: agent.agent_id, issued_at: issuedAt }, this.#file(key));
    return key;
  }

  /** The agent behind an `Authorization` header: `Bearer <key>`, or the bare key, which AI Maestro takes too. */
  async authenticate(header: string | undefined): Promise<Agent> {
    const presented = header?.startsWith("Bearer ") ? header.slice("Bearer ".length) : header;
    if (presented === undefined || (presented === header && !presented.startsWith(PREFIX))) {
      throw new Refusal(401, "unauthorized", "Missing or invalid Authorization header");
    }
    const agent = API_KEY.test(presented) ? await this.#owner(presented) : undefined;
    if (!agent) throw new Refusal(401, "unauthorized", "Invalid or expired API key");
    return agent;
  }

  async #owner(key: string): Promise<Agent | undefined> {
    const record = recordSchema.safeParse(parseJson((await readText(this.#file(key))) ?? ""));
    if (!record.success) return undefined;
    const agent = await this.#directory.find(record.data.name);
    return agent?.agent_id === record.data.agent_id ? agent : undefined;
  }

  #file(key: string): string {
    return this.#disk.path(ApiKeys.folder, messageFileName(createHash("sha256").update(key).digest("hex")));
  }
}
