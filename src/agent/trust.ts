import type { ProviderClient } from "../client/provider.ts";
import { AmpError, toAmpError } from "../errors.ts";
import type { KnownKeys } from "../store/known-keys.ts";
import { parseAddress, sameAddress } from "../wire/address.ts";
import { didKey } from "../wire/did.ts";
import { fingerprint, parsePublicKey, sameKey } from "../wire/keys.ts";
import { RESOLVED_KEPT, RESOLVED_MAX } from "../wire/limits.ts";
import type { Message } from "../wire/message.ts";
import { type SignedFields, type Verification, verifyDelivered } from "../wire/signature.ts";
import { oneLine, oneWord } from "../wire/untrusted.ts";

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

/** The agent that the messages are for. */
interface Own {
  /** The one in use, and those of its registrations elsewhere. */
  addresses: readonly [string, ...string[]];
  key: () => Promise<Uint8Array | undefined>;
}

/**
 * Judges messages against the keys that were met before. What providers and other tools wrote about a message's trust
 * (wrappers, `local.security`) counts for nothing. For a sender without a known key the provider is asked, then the
 * key that came with the message is taken.
 */
export class Trust {
  readonly #keys: KnownKeys;
  readonly #client: ProviderClient;
  readonly #own: Own;
  readonly #now: () => number;
  readonly #checked = new WeakMap<Message, { key: Uint8Array; result: Verification }>();
  readonly #resolved = new Map<string, { at: number; key: Promise<Uint8Array | undefined> }>();

  constructor(keys: KnownKeys, client: ProviderClient, own: Own, now: () => number) {
    this.#keys = keys;
    this.#client = client;
    this.#own = own;
    this.#now = now;
  }

  /**
   * For an index: remembers nothing. A sender without a known key is asked about, as at reading, so that both say the
   * same; but not where the provider is known not to answer.
   */
  async judge(message: Message, isOffline: boolean): Promise<Judgement> {
    return this.#judge(message, async (address) => (isOffline ? undefined : this.#resolve(address, RESOLVED_MAX)));
  }

  /** As `judge`, and remembers a key that fits. */
  async judgeAndRemember(message: Message): Promise<Judgement> {
    const judgement = await this.#judge(message, (address) => this.#resolve(address));
    const { newKey } = judgement;
    if (newKey === undefined) return judgement;
    const entry = {
      fingerprint: fingerprint(newKey.key),
      public_key: Buffer.from(newKey.key).toString("hex"),
      firstSeen: new Date(this.#now()).toISOString(),
      source: newKey.source,
      first_message: message.envelope.id,
    };
    const added = await this.#keys.add(message.envelope.from, entry).catch(toAmpError);
    if (added instanceof AmpError) return { ...judgement, remarks: [...judgement.remarks, NOT_REMEMBERED] };
    // Another process met this sender at the same moment; what it remembered counts.
    return added ? judgement : this.#judge(message, async () => undefined);
  }

  /** What the provider says of a key, for a while. Beyond `max` senders it is not asked about more. */
  async #resolve(address: string, max = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    const now = this.#now();
    for (const [one, { at }] of this.#resolved) if (now - at > RESOLVED_KEPT) this.#resolved.delete(one);
    const asked = address.toLowerCase();
    const earlier = this.#resolved.get(asked);
    if (earlier !== undefined) return earlier.key;
    if (this.#resolved.size >= max) return undefined;
    const key = this.#client.resolve(address);
    this.#resolved.set(asked, { at: now, key });
    return key;
  }

  async #judge(message: Message, resolve: (address: string) => Promise<Uint8Array | undefined>): Promise<Judgement> {
    const { envelope, raw } = message;
    const times = this.#timeRemarks(message);
    const received = { remarks: times, payload: raw.payload };
    if (parseAddress(envelope.from) === undefined) {
      return { ...received, verdict: "MISMATCH", remarks: ["the sender is no valid address", ...times] };
    }
    if (!envelope.signature) return { ...received, verdict: "unsigned" };
    if (this.#own.addresses.some((own) => sameAddress(envelope.from, own))) return this.#judgeOwn(message, received);
    const known = await this.#keys.find(envelope.from).catch(toAmpError);
    if (known instanceof AmpError) return { ...received, verdict: "unsigned", remarks: [LEDGER_DAMAGED, ...times] };
    const attached = message.senderPublicKey === undefined ? undefined : parsePublicKey(message.senderPublicKey);
    const resolved = known === undefined ? await resolve(envelope.from) : undefined;
    const key = known?.key ?? resolved ?? attached;
    if (key === undefined) return { ...received, verdict: "unsigned", remarks: [NO_KEY, ...times] };
    const checked = this.#verify(message, key);
    if (checked.verdict !== "valid") {
      const why = whyNot(
        checked,
        { key: known?.key ?? resolved, isRemembered: known !== undefined },
        attached,
        envelope.to,
      );
      return { ...received, verdict: why === TOO_LARGE ? "unsigned" : "MISMATCH", remarks: [why, ...times] };
    }
    if (typeof envelope.from_did === "string" && envelope.from_did !== didKey(key)) {
      return { ...received, verdict: "MISMATCH", remarks: [OTHER_DID, ...times] };
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
    const checked = key && this.#verify(message, key, [message.envelope.to, ...this.#ownNames()]);
    if (checked?.verdict !== "valid")
      return { ...received, verdict: "MISMATCH", remarks: ["it says it is from you, but your key did not sign it"] };
    return { verdict: "verified", remarks: ["written by you", ...received.remarks], payload: checked.payload };
  }

  /** Checked once for each message and key: the store hands out the same message until its file changes. */
  #verify(message: Message, key: Uint8Array, names: readonly string[] = this.#ownNames()): Verification {
    const known = this.#checked.get(message);
    if (known !== undefined && sameKey(known.key, key)) return known.result;
    const { envelope, raw } = message;
    const result = verifyDelivered(this.#fields(message), raw.payload, envelope.signature, key, names);
    this.#checked.set(message, { key, result });
    return result;
  }

  #timeRemarks({ envelope, expiresAt }: Message): string[] {
    const now = this.#now();
    const remarks: string[] = [];
    if (Date.parse(envelope.expires_at ?? expiresAt ?? "") <= now) remarks.push("the message has expired");
    if (Date.parse(envelope.timestamp ?? "") > now + FUTURE_TOLERANCE) remarks.push("dated in the future");
    return remarks;
  }

  #fields({ envelope, raw }: Message): SignedFields {
    const priority = typeof raw.envelope.priority === "string" ? raw.envelope.priority : undefined;
    const { from, to, subject, in_reply_to } = envelope;
    return { from, to, subject, priority, inReplyTo: in_reply_to };
  }

  /** The recipients under which a message to us may have been signed. */
  #ownNames(): string[] {
    const [first] = this.#own.addresses;
    const name = parseAddress(first)?.name;
    return name === undefined ? [...this.#own.addresses] : [first, name, ...this.#own.addresses.slice(1)];
  }

  #isNear(from: string): boolean {
    const sender = parseAddress(from);
    const own = parseAddress(this.#own.addresses[0]);
    return sender !== undefined && sender.tenant === own?.tenant && sender.provider === own?.provider;
  }
}

/** Milliseconds by which clocks may differ (protocol, section 07). */
const FUTURE_TOLERANCE = 60_000;

const NO_KEY = "signed, but no key is known to check it with";
const LEDGER_DAMAGED = "signed, but known_keys.json is damaged, so the key could not be compared: amp-mcp doctor";
const TOO_LARGE = "signed, but too large to be checked";

const NOT_REMEMBERED = "its key could not be written down: amp-mcp doctor";
const OTHER_DID = "its from_did names another key than the one that signed it";

function whyNot(
  checked: Verification,
  expected: { key: Uint8Array | undefined; isRemembered: boolean },
  attached: Uint8Array | undefined,
  to: string,
): string {
  const reason = checked.verdict === "invalid" ? checked.reason : undefined;
  if (reason === "too large") return TOO_LARGE;
  if (reason === "ambiguous") return "its fields could be read in two ways";
  if (reason === "not for us") return `signed for ${oneWord(to, 254)}, not for you: a replay`;
  if (expected.key !== undefined && attached !== undefined && !sameKey(expected.key, attached)) {
    const source = expected.isRemembered ? "known is" : "the provider has";
    return `key changed: it came with ${fingerprint(attached)}, ${source} ${fingerprint(expected.key)}; a person has to ask the sender, then: amp-mcp keys trust`;
  }
  return "the signature does not fit this text and the sender's key";
}

/** The same with a remark that points to an earlier message with the same signature. */
export function withRepeat(judgement: Judgement, earlier: string | undefined): Judgement {
  if (earlier === undefined) return judgement;
  const id = oneLine(earlier, 128);
  const isFitting = judgement.verdict !== "MISMATCH";
  const remark = isFitting
    ? `same signature as ${id}: the same words sent twice, or a replay`
    : `its signature was taken from ${id}`;
  return { ...judgement, remarks: isFitting ? [remark, ...judgement.remarks] : [...judgement.remarks, remark] };
}
