import type { KnownKeys } from "../store/known-keys.ts";
import { parseAddress } from "../wire/address.ts";
import { fingerprint, parsePublicKey, sameKey } from "../wire/keys.ts";
import type { Message } from "../wire/message.ts";
import { type SignedFields, verifyDelivered } from "../wire/signature.ts";

/**
 * Who wrote it, in one word. `verified`: valid signature, key known before, same tenant and provider. `new-key`: the
 * same, but this is the message that the key was first met with. `external`: valid, from another tenant or provider.
 * `unsigned`: nothing to check. `MISMATCH`: the signature does not fit, or the key is not the one remembered.
 */
export type Verdict = "verified" | "new-key" | "external" | "unsigned" | "MISMATCH";

export interface Judgement {
  verdict: Verdict;
  /** What a reader should know beyond the word; empty for the ordinary cases. */
  note: string;
  /** The payload to show: the signed one where the path re-shaped it, else what was received. */
  payload: Record<string, unknown>;
}

/**
 * Judges messages against the keys that were met before. What providers and other tools wrote about a message's trust
 * (wrappers, `local.security`) counts for nothing; the key that came with a message only until another is known.
 */
export class Trust {
  readonly #keys: KnownKeys;
  readonly #own: string;
  readonly #now: () => number;

  constructor(keys: KnownKeys, ownAddress: string, now: () => number) {
    this.#keys = keys;
    this.#own = ownAddress;
    this.#now = now;
  }

  /** Looks only. The first contact is remembered by `remember`, once the message has really been read. */
  async judge(message: Message): Promise<Judgement> {
    const { envelope, raw } = message;
    const received = raw.payload;
    if (!envelope.signature) return { verdict: "unsigned", note: "", payload: received };
    const attached = message.senderPublicKey === undefined ? undefined : parsePublicKey(message.senderPublicKey);
    const known = await this.#keys.find(envelope.from);
    const key = known?.key ?? attached;
    if (key === undefined) {
      return { verdict: "unsigned", note: "signed, but no key is known to check it with", payload: received };
    }
    const checked = verifyDelivered(this.#fields(message), received, envelope.signature, key, this.#ownNames());
    if (checked.verdict !== "valid")
      return { verdict: "MISMATCH", note: this.#whyNot(known?.key, attached), payload: received };
    const isFirst = known === undefined || known.entry.first_message === envelope.id;
    return {
      verdict: this.#isNear(envelope.from) ? (isFirst ? "new-key" : "verified") : "external",
      note: "",
      payload: checked.payload,
    };
  }

  /** Trust on first use: keeps the key that a message verified with, if its sender had none. */
  async remember(message: Message, judgement: Judgement): Promise<void> {
    if (judgement.verdict !== "new-key" && judgement.verdict !== "external") return;
    const key = message.senderPublicKey === undefined ? undefined : parsePublicKey(message.senderPublicKey);
    const { from, id } = message.envelope;
    if (key === undefined || (await this.#keys.find(from))) return;
    await this.#keys.add(from, {
      fingerprint: fingerprint(key),
      public_key: Buffer.from(key).toString("hex"),
      firstSeen: new Date(this.#now()).toISOString(),
      source: "provider",
      first_message: id,
    });
  }

  #fields({ envelope, raw }: Message): SignedFields {
    const priority = typeof raw.envelope.priority === "string" ? raw.envelope.priority : undefined;
    return {
      from: envelope.from,
      to: envelope.to,
      subject: envelope.subject,
      priority,
      inReplyTo: envelope.in_reply_to,
    };
  }

  /** The recipients, beside the one in the envelope, under which a message to us may have been signed. */
  #ownNames(): string[] {
    const name = parseAddress(this.#own)?.name;
    return name === undefined ? [this.#own] : [this.#own, name];
  }

  #whyNot(known: Uint8Array | undefined, attached: Uint8Array | undefined): string {
    const changed = known !== undefined && attached !== undefined && !sameKey(known, attached);
    return changed
      ? "key changed: it comes with another key than this sender's remembered one; a person has to ask the sender"
      : "the signature does not fit the text or the sender's key";
  }

  #isNear(from: string): boolean {
    const sender = parseAddress(from);
    const own = parseAddress(this.#own);
    return sender !== undefined && sender.tenant === own?.tenant && sender.provider === own?.provider;
  }
}
