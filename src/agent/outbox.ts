import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ProviderClient } from "../client/provider.ts";
import { AmpError } from "../errors.ts";
import { readKeyPair } from "../store/agent-keys.ts";
import { type Attempt, Attempts, attemptKey } from "../store/attempts.ts";
import type { Home } from "../store/home.ts";
import type { StoredMessage } from "../store/messages.ts";
import type { RegisteredProfile } from "../store/profile.ts";
import { sameAddress } from "../wire/address.ts";
import type { KeyPair } from "../wire/keys.ts";
import { ATTEMPT_PAUSE, REPEAT_KEY_WINDOW, REPEAT_WINDOW, REQUEST_DEADLINE } from "../wire/limits.ts";
import { priorityOf, replySubject } from "../wire/message.ts";
import { oneLine } from "../wire/untrusted.ts";
import { type Composed, compose, type Draft } from "./compose.ts";
import { checkCourtesy } from "./courtesy.ts";
import type { Mailbox } from "./mailbox.ts";

export interface Sent {
  id: string | undefined;
  /** The provider's word. */
  status: "delivered" | "queued";
  /** In full where the tenant is known. */
  recipient: string;
  /** The provider's remark, one line, untrusted. */
  note: string | undefined;
  /** Whether a copy is under `messages/sent`. */
  isCopied: boolean;
  /** Milliseconds ago, where this same message was sent already and was not sent again. */
  sentBefore: number | undefined;
}

/** What keeps a message from being sent by mistake. */
export interface Care {
  /** `automatic`: the same words to the same agent within two minutes are one message. Else a key of the caller's. */
  repetition: "automatic" | { key: string };
  /** See `checkCourtesy`; 0 for no limit. */
  replyLimit: number;
}

/** What a caller says in an answer; the rest follows from the message that is answered. */
export type Answer = Pick<Draft, "message" | "context"> & Partial<Pick<Draft, "type" | "priority">>;

/** What leaves one agent: composed, signed, handed to the provider once, and kept as a copy. */
export class Outbox {
  readonly #home: Home;
  readonly #profile: RegisteredProfile;
  readonly #client: ProviderClient;
  readonly #mailbox: Mailbox;
  readonly #now: () => number;
  #keys: KeyPair | undefined;

  constructor(home: Home, profile: RegisteredProfile, client: ProviderClient, mailbox: Mailbox, now: () => number) {
    this.#home = home;
    this.#profile = profile;
    this.#client = client;
    this.#mailbox = mailbox;
    this.#now = now;
  }

  /**
   * @param care for calls that a model makes; a person's command is carried out as often as it is given.
   * @throws AmpError `invalid_argument`, `loop_stopped`, or what the provider or the network says; never after it was
   *   accepted.
   */
  async send(draft: Draft, care?: Care, signal?: AbortSignal): Promise<Sent> {
    const composed = await this.check(draft, care);
    return care === undefined ? this.#route(composed, signal) : this.#routeOnce(composed, care.repetition, signal);
  }

  /** Whatever can be said against a draft before anybody is asked or anything leaves. @throws AmpError as `send`. */
  async check(draft: Draft, care?: Care): Promise<Composed> {
    const { address } = this.#profile;
    const composed = await compose(draft, address, await this.#privateKey());
    // Notes to oneself are no conversation.
    const isWatched = care !== undefined && !sameAddress(composed.recipient, address);
    if (isWatched) await checkCourtesy(draft, () => this.#mailbox.exchanged(), care.replyLimit, this.#now());
    return composed;
  }

  /** Read once: a key pair is never replaced. */
  async #privateKey(): Promise<Uint8Array> {
    const { directory } = this.#profile;
    this.#keys ??= await readKeyPair(this.#home.disk, directory);
    if (this.#keys === undefined) throw unreadableKey(directory);
    return this.#keys.privateKey;
  }

  async #routeOnce(composed: Composed, repetition: Care["repetition"], signal: AbortSignal | undefined): Promise<Sent> {
    const attempts = new Attempts(this.#home.disk, this.#profile.directory);
    const isAutomatic = repetition === "automatic";
    const { to, subject, priority, in_reply_to } = composed.envelope;
    const message = attemptKey([to, subject, priority, in_reply_to, composed.payload]);
    const key = isAutomatic ? message : attemptKey(["key", repetition.key]);
    const window = isAutomatic ? REPEAT_WINDOW : REPEAT_KEY_WINDOW;
    const earlier = await this.#earlier(attempts, key, message, window, signal);
    if (earlier !== undefined) {
      const age = this.#now() - earlier.at;
      if (earlier.message !== undefined && earlier.message !== message) throw usedKey(age);
      if (earlier.status === undefined) throw openAttempt(age, isAutomatic);
      const { id, status } = earlier;
      const { recipient } = composed;
      return { id, status, recipient, note: undefined, isCopied: true, sentBefore: age };
    }
    try {
      const sent = await this.#route(composed, signal);
      await attempts.close(key, this.#now(), { id: sent.id, status: sent.status }).catch(() => {});
      return sent;
    } catch (thrown) {
      // With a status it was refused; `bad_answer` without one is a success in words that nobody understands.
      const isUnclear =
        thrown instanceof AmpError &&
        (thrown.code === "outcome_unknown" || (thrown.code === "bad_answer" && thrown.status === undefined));
      await attempts.close(key, this.#now(), isUnclear ? "unclear" : undefined).catch(() => {});
      throw thrown;
    }
  }

  /**
   * The attempt made earlier under this key; `undefined` where this call is the first and has opened one. One that is
   * under way in another call or process is waited for, as long as a request may take.
   */
  async #earlier(
    attempts: Attempts,
    key: string,
    message: string,
    window: number,
    signal: AbortSignal | undefined,
  ): Promise<Attempt | undefined> {
    for (;;) {
      const now = this.#now();
      const earlier = await attempts.open(key, message, now, now - window);
      const isUnderWay = earlier?.state === "open" && now - earlier.at < REQUEST_DEADLINE;
      if (!isUnderWay || signal?.aborted) return earlier;
      await pause(ATTEMPT_PAUSE);
    }
  }

  async #route(composed: Composed, signal: AbortSignal | undefined): Promise<Sent> {
    const { id, status, note, error } = await this.#client.route(composed.body, signal);
    if (status !== "delivered" && status !== "queued") throw deliveryFailed(status, error ?? note);
    return {
      id,
      status,
      recipient: composed.recipient,
      note: note === undefined ? undefined : oneLine(note, 200),
      isCopied: await this.#copy(id, composed),
      sentBefore: undefined,
    };
  }

  /** An answer: to the sender, also where `reply_to` names somebody else; subject `Re:` once; same priority. */
  draftReply(to: StoredMessage, answer: Answer): Draft {
    const { envelope } = to.message;
    const own = this.#profile.address;
    const isOwn = sameAddress(envelope.from, own) && !sameAddress(envelope.to, own);
    return {
      to: isOwn ? envelope.to : envelope.from,
      subject: oneLine(replySubject(envelope.subject), 256),
      message: answer.message,
      context: answer.context,
      type: answer.type ?? "response",
      priority: answer.priority ?? priorityOf(envelope),
      inReplyTo: envelope.id,
    };
  }

  /** The provider has the message whatever happens to our copy of it. */
  async #copy(id: string | undefined, composed: Composed): Promise<boolean> {
    if (id === undefined) return false;
    const timestamp = new Date(this.#now()).toISOString();
    return this.#mailbox.keepSent(id, { ...composed.envelope, timestamp }, composed.payload).then(
      () => true,
      () => false,
    );
  }
}

function unreadableKey(directory: string): AmpError {
  return new AmpError("agent_incomplete", {
    message: `${join(directory, "keys", "private.pem")} holds no readable Ed25519 key, so the message cannot be signed.`,
    notDone: "nothing was sent.",
    next: "Restore that file from a backup; a new key under the same name would be refused by the provider.",
    mender: "person",
  });
}

function openAttempt(age: number, isAutomatic: boolean): AmpError {
  const way = isAutomatic
    ? "or wait two minutes. To send it at once all the same, give an idempotency_key of your own."
    : "or, to send it all the same, give another idempotency_key.";
  return new AmpError("outcome_unknown", {
    message: `This same message was handed to the provider ${Math.ceil(age / 1000)} s ago, and what came of it is unknown.`,
    notDone: "it was not sent again.",
    next: `Ask the recipient, ${way}`,
    mender: "caller",
  });
}

function usedKey(age: number): AmpError {
  return new AmpError("invalid_argument", {
    message: `idempotency_key: expected one of its own for each message, found one that stands for another message, made ${Math.ceil(age / 1000)} s ago.`,
    notDone: "nothing was sent.",
    next: "Give another idempotency_key, or none.",
    mender: "caller",
  });
}

/** `failed` is a provider's word; any other that is not ours says nothing. */
function deliveryFailed(status: string, reason: string | undefined): AmpError {
  const isFailed = status === "failed" || status === "rejected";
  return new AmpError(isFailed ? "provider_failed" : "outcome_unknown", {
    message: `The provider says "${oneLine(status, 40)}"${reason === undefined ? "" : `: ${oneLine(reason, 200)}`}.`,
    notDone: isFailed ? "by the provider's word the message was not delivered." : "whether it was sent is unknown.",
    next: isFailed
      ? "Check the address; then send it again if it is right."
      : "Ask the recipient whether it arrived before you send it again.",
    mender: "caller",
  });
}
