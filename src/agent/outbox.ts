import { join } from "node:path";
import type { ProviderClient } from "../client/provider.ts";
import { AmpError } from "../errors.ts";
import type { Home } from "../store/home.ts";
import type { StoredMessage } from "../store/messages.ts";
import { type RegisteredProfile, readKeyPair } from "../store/profile.ts";
import { sameAddress } from "../wire/address.ts";
import { priorityOf, replySubject } from "../wire/message.ts";
import { oneLine } from "../wire/untrusted.ts";
import { type Composed, compose, type Draft } from "./compose.ts";
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

  constructor(home: Home, profile: RegisteredProfile, client: ProviderClient, mailbox: Mailbox, now: () => number) {
    this.#home = home;
    this.#profile = profile;
    this.#client = client;
    this.#mailbox = mailbox;
    this.#now = now;
  }

  /** @throws AmpError `invalid_argument`, or what the provider or the network says; never after it was accepted. */
  async send(draft: Draft, signal?: AbortSignal): Promise<Sent> {
    const { address, directory } = this.#profile;
    const keys = await readKeyPair(this.#home.disk, directory);
    if (keys === undefined) throw unreadableKey(directory);
    const composed = await compose(draft, address, keys.privateKey);
    const { id, status, note, error } = await this.#client.route(composed.body, signal);
    if (status !== "delivered" && status !== "queued") throw deliveryFailed(status, error ?? note);
    return {
      id,
      status,
      recipient: composed.recipient,
      note: note === undefined ? undefined : oneLine(note, 200),
      isCopied: await this.#copy(id, composed),
    };
  }

  /** To the sender, also where `reply_to` names somebody else; subject `Re:` once; same priority. */
  reply(to: StoredMessage, answer: Answer, signal?: AbortSignal): Promise<Sent> {
    const { envelope } = to.message;
    const own = this.#profile.address;
    const isOwn = sameAddress(envelope.from, own) && !sameAddress(envelope.to, own);
    const draft: Draft = {
      to: isOwn ? envelope.to : envelope.from,
      subject: oneLine(replySubject(envelope.subject), 256),
      message: answer.message,
      context: answer.context,
      type: answer.type ?? "response",
      priority: answer.priority ?? priorityOf(envelope),
      inReplyTo: envelope.id,
    };
    return this.send(draft, signal);
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

function deliveryFailed(status: string, reason: string | undefined): AmpError {
  return new AmpError("provider_failed", {
    message: `The provider says "${oneLine(status, 40)}"${reason === undefined ? "" : `: ${oneLine(reason, 200)}`}.`,
    notDone: "by the provider's word the message was not delivered.",
    next: "Check the address; then send it again if it is right.",
    mender: "caller",
  });
}
