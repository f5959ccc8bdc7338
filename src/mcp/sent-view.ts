import type { Sent } from "../agent/outbox.ts";
import { ago } from "../wire/human.ts";
import { quoted, shownId } from "../wire/untrusted.ts";
import type { ToolAnswer } from "./tool.ts";

/** What each word of a provider proves, and what not. */
const PROOF = {
  delivered: "The provider put it into the recipient's inbox. That it was read is not known.",
  queued: "The provider holds it until the recipient fetches it. That it was read is not known.",
} as const;

/** The answer to `amp_send` and `amp_reply`: the provider's word, the recipient that was used, the id for later. */
export function sentAnswer(sent: Sent): ToolAnswer {
  const id = sent.id === undefined ? undefined : shownId(sent.id);
  const proves = isDoubtful(sent)
    ? "The provider does not know that host: the message may never arrive. Check the address."
    : PROOF[sent.status];
  const { sentBefore } = sent;
  const repeat =
    sentBefore === undefined
      ? []
      : [
          `NOT sent again: this same message was sent ${ago(sentBefore)}. To send it once more, give an idempotency_key.`,
        ];
  return {
    text: [
      ...repeat,
      `${sent.status}: ${id ?? "(the provider gave no id)"} to ${sent.recipient}`,
      proves,
      ...(sent.note === undefined ? [] : [`provider's remark: ${quoted(sent.note, 200)}`]),
      ...(sent.isCopied ? [] : ["No copy of it could be kept on this machine."]),
    ].join("\n"),
    structured: {
      status: sent.status,
      message_id: id ?? null,
      to: sent.recipient,
      proves,
      ...(sentBefore === undefined ? {} : { not_sent_again: repeat[0] }),
    },
  };
}

/** The first AI Maestro queues for hosts that it has never heard of, and says so only here. */
function isDoubtful(sent: Sent): boolean {
  return sent.status === "queued" && /not found/i.test(sent.note ?? "");
}
