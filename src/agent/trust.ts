import type { ProviderClient } from "../client/provider.ts";
import { AmpError, toAmpError } from "../errors.ts";
import type { KnownKeys } from "../store/known-keys.ts";
import { parseAddress, sameAddress } from "../wire/address.ts";
import { fingerprint, parsePublicKey, sameKey } from "../wire/keys.ts";
import type { Message } from "../wire/message.ts";
import { type SignedFields, type Verification, verifyDelivered } from "../wire/signature.ts";

/**
 * Who wrote it, in one word. `verified`: valid signature, key known before, same tenant and provider. `new-key`: the
 * same, but this is the message that the key was first met with. `external`: valid, from another tenant or provider.
 * `unsigned`: nothing that could be checked. `MISMATCH`: the signature does not fit, or the key is not the one known.
 */
export type Verdict = "verified" | "new-key" | "external" | "unsigned" | "MISMATCH";

export interface Judgement {
  verdict: Verdict;
  /** What a reader should know beyond the word, each a short phrase. Empty for the ordinary cases. */
  remarks: string[];
  /** The payload to show: the signed one where the path re-shaped it, else what was received. */
  payload: Record<string, unknown>;
  /** The key that verified it and is not known yet. */
  newKey?: { key: Uint8Array; source: "resolve" | "provider" };
}

/**
 * Judges messages against the keys that were met before. What providers and other tools wrote about a message's trust
 * (wrappers, `local.security`) counts for nothing. For a sender without a known key the provider is asked, then the
 * key that came with the message is taken.
 */
export class Trust {
  readonly #keys: KnownKeys;
  readonly #client: ProviderClient;
  readonly #own: { address: string; key: () => Promise<Uint8Array | undefined> };
  readonly #now: () => number;
  readonly #checked = new WeakMap<Message, { key: Uint8Array; result: Verification }>();

  constructor(
    keys: KnownKeys,
    client: ProviderClient,
    own: { address: string; key: () => Promise<Uint8Array | undefined> },
    now: () => number,
  ) {
    this.#keys = keys;
    this.#client = client;
    this.#own = own;
    this.#now = now;
  }

  /** Looks at what is on this machine only, for an index. */
  async judge(message: Message): Promise<Judgement> {
    return this.#judge(message, async () => undefined);
  }

  /** As `judge`, and asks the provider for the key of a sender who has none yet; remembers a key that fits. */
  async judgeAndRemember(message: Message, signal?: AbortSignal): Promise<Judgement> {
    const judgement = await this.#judge(message, (address) => this.#client.resolve(address, signal));
    const { newKey } = judgement;
    if (newKey !== undefined) {
      await this.#keys.add(message.envelope.from, {
        fingerprint: fingerprint(newKey.key),
        public_key: Buffer.from(newKey.key).toString("hex"),
        firstSeen: new Date(this.#now()).toISOString(),
        source: newKey.source,
        first_message: message.envelope.id,
      });
    }
    return judgement;
  }

  async #judge(message: Message, resolve: (address: string) => Promise<Uint8Array | undefined>): Promise<Judgement> {
    const { envelope, raw } = message;
    const times = this.#timeRemarks(message);
    const received = { remarks: times, payload: raw.payload };
    if (parseAddress(envelope.from) === undefined) {
      return { ...received, verdict: "MISMATCH", remarks: ["the sender is no valid address", ...times] };
    }
    if (!envelope.signature) return { ...received, verdict: "unsigned" };
    if (sameAddress(envelope.from, this.#own.address)) return this.#judgeOwn(message, received);
    const known = await this.#keys.find(envelope.from).catch(toAmpError);
    if (known instanceof AmpError) return { ...received, verdict: "unsigned", remarks: [LEDGER_DAMAGED, ...times] };
    const attached = message.senderPublicKey === undefined ? undefined : parsePublicKey(message.senderPublicKey);
    const resolved = known === undefined ? await resolve(envelope.from) : undefined;
    const key = known?.key ?? resolved ?? attached;
    if (key === undefined) return { ...received, verdict: "unsigned", remarks: [NO_KEY, ...times] };
    const checked = this.#verify(message, key);
    if (checked.verdict !== "valid") {
      const why = whyNot(checked, known?.key ?? resolved, attached);
      return { ...received, verdict: why === TOO_LARGE ? "unsigned" : "MISMATCH", remarks: [why, ...times] };
    }
    const isFirst = known === undefined || known.entry.first_message === envelope.id;
    const verdict = !this.#isNear(envelope.from) ? "external" : isFirst ? "new-key" : "verified";
    const firstContact = verdict === "external" && isFirst ? ["first contact"] : [];
    const newKey =
      known === undefined ? ({ key, source: resolved === undefined ? "provider" : "resolve" } as const) : undefined;
    return { verdict, remarks: [...firstContact, ...times], payload: checked.payload, ...(newKey && { newKey }) };
  }

  /** Our own sent copies, and messages to ourselves: only our own key makes them ours. */
  async #judgeOwn(
    message: Message,
    received: { remarks: string[]; payload: Record<string, unknown> },
  ): Promise<Judgement> {
    const key = await this.#own.key();
    const checked = key && this.#verify(message, key);
    if (checked?.verdict !== "valid")
      return { ...received, verdict: "MISMATCH", remarks: ["it says it is from you, but your key did not sign it"] };
    return { verdict: "verified", remarks: ["written by you", ...received.remarks], payload: checked.payload };
  }

  /** Checked once for each message and key: the store hands out the same message until its file changes. */
  #verify(message: Message, key: Uint8Array): Verification {
    const known = this.#checked.get(message);
    if (known !== undefined && sameKey(known.key, key)) return known.result;
    const { envelope, raw } = message;
    const result = verifyDelivered(this.#fields(message), raw.payload, envelope.signature, key, this.#ownNames());
    this.#checked.set(message, { key, result });
    return result;
  }

  #timeRemarks({ envelope, expiresAt }: Message): string[] {
    const now = this.#now();
    const remarks: string[] = [];
    if (Date.parse(envelope.expires_at ?? expiresAt ?? "") <= now) remarks.push("expired");
    if (Date.parse(envelope.timestamp ?? "") > now + FUTURE_TOLERANCE) remarks.push("dated in the future");
    return remarks;
  }

  #fields({ envelope, raw }: Message): SignedFields {
    const priority = typeof raw.envelope.priority === "string" ? raw.envelope.priority : undefined;
    const { from, to, subject, in_reply_to } = envelope;
    return { from, to, subject, priority, inReplyTo: in_reply_to };
  }

  /** The recipients, beside the one in the envelope, under which a message to us may have been signed. */
  #ownNames(): string[] {
    const { address } = this.#own;
    const name = parseAddress(address)?.name;
    return name === undefined ? [address] : [address, name];
  }

  #isNear(from: string): boolean {
    const sender = parseAddress(from);
    const own = parseAddress(this.#own.address);
    return sender !== undefined && sender.tenant === own?.tenant && sender.provider === own?.provider;
  }
}

/** Milliseconds by which clocks may differ (protocol, section 07). */
const FUTURE_TOLERANCE = 60_000;

const NO_KEY = "signed, but no key is known to check it with";
const LEDGER_DAMAGED = "signed, but known_keys.json is damaged, so the key could not be compared: amp-mcp doctor";
const TOO_LARGE = "signed, but too large to be checked";

function whyNot(checked: Verification, known: Uint8Array | undefined, attached: Uint8Array | undefined): string {
  if (checked.verdict === "invalid" && checked.reason === "too large") return TOO_LARGE;
  if (checked.verdict === "invalid" && checked.reason === "ambiguous") return "its fields could be read in two ways";
  if (known !== undefined && attached !== undefined && !sameKey(known, attached)) {
    return `key changed: it came with ${fingerprint(attached)}, known is ${fingerprint(known)}; a person has to ask the sender, then: amp-mcp keys trust`;
  }
  return "the signature does not fit this text and the sender's key";
}
