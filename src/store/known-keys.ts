import { join } from "node:path";
import * as z from "zod";
import { parsePublicKey } from "../wire/keys.ts";
import { SECRET_MODE } from "./disk.ts";
import type { Home } from "./home.ts";
import { withLock } from "./lock.ts";
import { readObject } from "./profile.ts";

/** A sender's key as it was first met. The first names are those of AI Maestro's own ledger. */
const knownKeySchema = z.looseObject({
  fingerprint: z.string(),
  /** 64 hex digits. */
  public_key: z.string(),
  /** ISO 8601. */
  firstSeen: z.string(),
  source: z.string(),
  /** Id of the message that it came with: the one that stays marked as the first contact. */
  first_message: z.string().optional().catch(undefined),
});
export type KnownKey = z.infer<typeof knownKeySchema>;

/** `known_keys.json`: lower-case address to key. A key is added here, never replaced. */
export class KnownKeys {
  readonly #home: Home;
  readonly #directory: string;

  constructor(home: Home, directory: string) {
    this.#home = home;
    this.#directory = directory;
  }

  get #path(): string {
    return join(this.#directory, "known_keys.json");
  }

  async find(address: string): Promise<{ key: Uint8Array; entry: KnownKey } | undefined> {
    const parsed = knownKeySchema.safeParse((await readObject(this.#home.disk, this.#path))[address.toLowerCase()]);
    const key = parsed.success ? parsePublicKey(parsed.data.public_key) : undefined;
    return parsed.success && key !== undefined ? { key, entry: parsed.data } : undefined;
  }

  /** Remembers a key for an address that has none yet. */
  async add(address: string, entry: KnownKey): Promise<void> {
    await withLock(this.#home.disk, join(this.#directory, ".known_keys.lock"), async () => {
      const all = await readObject(this.#home.disk, this.#path);
      if (all[address.toLowerCase()] !== undefined) return;
      const next = `${JSON.stringify({ ...all, [address.toLowerCase()]: entry }, null, 2)}\n`;
      await this.#home.disk.write(this.#path, next, SECRET_MODE);
    });
  }
}
