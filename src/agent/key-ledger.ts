import type { ProviderClient } from "../client/provider.ts";
import { AmpError } from "../errors.ts";
import type { KnownKey, KnownKeys } from "../store/known-keys.ts";
import { parseAddress, sameAddress } from "../wire/address.ts";
import { derFingerprint, fingerprint, parsePublicKey } from "../wire/keys.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { Mailbox } from "./mailbox.ts";

export type { KnownKey };

/** A key that an address was seen with, in the providers' form of fingerprint and in that of the plugin's scripts. */
export interface SeenKey {
  fingerprint: string;
  pluginFingerprint: string;
  where: string;
}

/**
 * What a person decides about senders' keys. No tool leads here: an assistant that could change trust would do so on
 * the word of a message.
 */
export class KeyLedger {
  readonly #keys: KnownKeys;
  readonly #client: ProviderClient;
  readonly #mailbox: Mailbox;
  readonly #now: () => number;

  constructor(keys: KnownKeys, client: ProviderClient, mailbox: Mailbox, now: () => number) {
    this.#keys = keys;
    this.#client = client;
    this.#mailbox = mailbox;
    this.#now = now;
  }

  /** `undefined` for an entry that is damaged. */
  list(): Promise<[string, KnownKey | undefined][]> {
    return this.#keys.list();
  }

  /** What is known of an address, and every key that it has been seen with: in messages, and at the provider now. */
  async show(address: string): Promise<{ known: KnownKey | "damaged" | undefined; seen: SeenKey[] }> {
    const full = await this.#checkedAddress(address);
    const seen = await this.#seen(full);
    const known = new Map(await this.#keys.list());
    return {
      known: known.has(full) ? (known.get(full) ?? "damaged") : undefined,
      seen: seen.map(({ key, where }) => ({
        fingerprint: fingerprint(key),
        pluginFingerprint: derFingerprint(key),
        where,
      })),
    };
  }

  /**
   * Takes a key for an address as the right one, in the place of any other.
   *
   * @param wanted its fingerprint, in either form, or the key itself (PEM or 64 hex digits): compared over another
   *   channel than the mail. Base64 of 32 bytes could be either, and is taken for a fingerprint.
   */
  async trust(address: string, wanted: string): Promise<KnownKey> {
    const full = await this.#checkedAddress(address);
    const isDigest = /^(?:SHA256:)?[A-Za-z0-9+/]{43}=?$/.test(wanted.trim());
    const given = isDigest ? undefined : parsePublicKey(wanted);
    const seen = given === undefined ? await this.#seen(full) : [];
    const isWanted = ({ key }: { key: Uint8Array }) =>
      [fingerprint(key), derFingerprint(key)].some((one) => digest(one) === digest(wanted));
    const key = given ?? seen.find(isWanted)?.key;
    if (key === undefined)
      throw unknownKey(
        full,
        seen.map((one) => fingerprint(one.key)),
      );
    const entry: KnownKey = {
      fingerprint: fingerprint(key),
      public_key: Buffer.from(key).toString("hex"),
      firstSeen: new Date(this.#now()).toISOString(),
      source: "person",
    };
    await this.#keys.replace(full, entry);
    return entry;
  }

  async forget(address: string): Promise<boolean> {
    return this.#keys.forget(await this.#checkedAddress(address));
  }

  /** A full address, or whatever the ledger holds a key for: some providers write a sender as a bare name. */
  async #checkedAddress(given: string): Promise<string> {
    const address = parseAddress(given);
    if (address?.provider !== undefined) return address.full;
    const asWritten = given.trim().toLowerCase();
    if ((await this.#keys.list()).some(([known]) => known === asWritten)) return asWritten;
    throw new AmpError("invalid_argument", {
      message: `Expected a full address such as bob@acme.aimaestro.local, found "${oneLine(given, 80)}".`,
      notDone: "nothing was changed.",
      next: "See the addresses with: amp-mcp keys list",
      mender: "caller",
    });
  }

  async #seen(address: string): Promise<{ key: Uint8Array; where: string }[]> {
    const received = (await this.#mailbox.received()).map(({ message }) => message);
    const mail = received.filter(({ envelope }) => sameAddress(envelope.from, address));
    const attached = mail.flatMap(({ envelope, senderPublicKey }) => {
      const key = senderPublicKey === undefined ? undefined : parsePublicKey(senderPublicKey);
      return key === undefined ? [] : [{ key, where: `message ${envelope.id}` }];
    });
    const resolved = await this.#client.resolve(address);
    const all = [...(resolved === undefined ? [] : [{ key: resolved, where: "the provider, now" }]), ...attached];
    const first = new Map(all.reverse().map((one) => [fingerprint(one.key), one]));
    return [...first.values()].reverse();
  }
}

function digest(text: string): string {
  return text
    .trim()
    .replace(/^SHA256:/, "")
    .replace(/=$/, "");
}

function unknownKey(address: string, seen: readonly string[]): AmpError {
  const found = seen.length === 0 ? "has not been seen with any key" : `has been seen with ${seen.join(", ")}`;
  return new AmpError("invalid_argument", {
    message: `${address} ${found}; the one given is none of them, nor a public key itself.`,
    notDone: "nothing was changed.",
    next: "Ask the sender for the fingerprint over another channel, and give it exactly, or give the public key.",
    mender: "person",
  });
}
