import { join } from "node:path";
import * as z from "zod";
import { AmpError } from "../errors.ts";
import { parsePublicKey } from "../wire/keys.ts";
import { oneWord } from "../wire/untrusted.ts";
import { SECRET_MODE } from "./disk.ts";
import type { Home } from "./home.ts";
import { withLock } from "./lock.ts";
import { readObjectToChange } from "./profile.ts";

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
  #cached: { stamp: string | undefined; all: Record<string, unknown> } | undefined;

  constructor(home: Home, directory: string) {
    this.#home = home;
    this.#directory = directory;
  }

  get #path(): string {
    return join(this.#directory, "known_keys.json");
  }

  /**
   * @throws AmpError `storage_failed` where the ledger, or the entry of this address, is damaged: then the sender is
   *   neither known nor new.
   */
  async find(address: string): Promise<{ key: Uint8Array; entry: KnownKey } | undefined> {
    const entry = new Map(Object.entries(await this.#read())).get(address.toLowerCase());
    if (entry === undefined) return undefined;
    const parsed = knownKeySchema.safeParse(entry);
    const key = parsed.success ? parsePublicKey(parsed.data.public_key) : undefined;
    if (parsed.success && key !== undefined) return { key, entry: parsed.data };
    throw new AmpError("storage_failed", {
      message: `The entry of ${oneWord(address, 254)} in ${this.#path} is damaged: no public key can be read from it.`,
      notDone: "it was left as it is.",
      next: "A person decides: amp-mcp keys trust with the right fingerprint, or amp-mcp keys forget.",
      mender: "person",
    });
  }

  /** `undefined` for an entry that is damaged. */
  async list(): Promise<[string, KnownKey | undefined][]> {
    return Object.entries(await this.#read()).map(([address, entry]) => [
      address,
      knownKeySchema.safeParse(entry).data,
    ]);
  }

  /** Read again when it has changed: every message of a list asks. */
  async #read(): Promise<Record<string, unknown>> {
    const stamp = this.#home.disk.stamp(this.#path);
    if (stamp === undefined) return {};
    if (this.#cached === undefined || this.#cached.stamp !== stamp) {
      this.#cached = { stamp, all: await readObjectToChange(this.#home.disk, this.#path) };
    }
    return this.#cached.all;
  }

  /** Remembers a key for an address that has none yet. */
  add(address: string, entry: KnownKey): Promise<boolean> {
    return this.#change(address, (old) => old ?? entry);
  }

  /** Puts a key in the place of the one known. Only a person may ask for this. */
  replace(address: string, entry: KnownKey): Promise<boolean> {
    return this.#change(address, () => entry);
  }

  /** Forgets an address; its next message is a first contact again. `false` if it was not known. */
  forget(address: string): Promise<boolean> {
    return this.#change(address, () => undefined);
  }

  async #change(address: string, next: (old: unknown) => unknown): Promise<boolean> {
    return withLock(this.#home.disk, join(this.#directory, ".known_keys.lock"), async () => {
      const key = address.toLowerCase();
      const { [key]: old, ...others } = await this.#read();
      const entry = next(old);
      if (entry === old) return false;
      const all = entry === undefined ? others : { ...others, [key]: entry };
      await this.#home.disk.write(this.#path, `${JSON.stringify(all, null, 2)}\n`, SECRET_MODE);
      return true;
    });
  }
}
