import type { ProviderClient } from "../client/provider.ts";
import { AmpError } from "../errors.ts";
import type { KnownKey, KnownKeys } from "../store/known-keys.ts";
import { parseAddress, sameAddress } from "../wire/address.ts";
import { derFingerprint, fingerprint, parsePublicKey } from "../wire/keys.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { Mailbox } from "./mailbox.ts";

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

  list(): Promise<[string, KnownKey][]> {
    return this.#keys.list();
  }

  /** What is known of an address, and every key that it has been seen with: in messages, and at the provider now. */
  async show(
    address: string,
  ): Promise<{ known: KnownKey | undefined; seen: { fingerprint: string; where: string }[] }> {
    const full = checkedAddress(address);
    const seen = await this.#seen(full);
    return {
      known: (await this.#keys.find(full))?.entry,
      seen: seen.map(({ key, where }) => ({ fingerprint: fingerprint(key), where })),
    };
  }

  /**
   * Takes a key for an address as the right one, in the place of any other.
   *
   * @param wanted its fingerprint, in either form, or the key itself: compared over another channel than the mail.
   */
  async trust(address: string, wanted: string): Promise<KnownKey> {
    const full = checkedAddress(address);
    const given = parsePublicKey(wanted);
    const seen = given === undefined ? await this.#seen(full) : [];
    const key = given ?? seen.find((one) => [fingerprint(one.key), derFingerprint(one.key)].includes(wanted))?.key;
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

  forget(address: string): Promise<boolean> {
    return this.#keys.forget(checkedAddress(address));
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

function checkedAddress(given: string): string {
  const address = parseAddress(given);
  if (address?.provider !== undefined) return address.full;
  throw new AmpError("invalid_argument", {
    message: `Expected a full address such as bob@acme.aimaestro.local, found "${oneLine(given, 80)}".`,
    notDone: "nothing was changed.",
    next: "See the addresses with: amp-mcp keys list",
    mender: "caller",
  });
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
