import * as z from "zod";
import { sendWithCare } from "../sending.ts";
import { defineTool } from "../tool.ts";
import * as common from "./parameters.ts";

export const ampReply = defineTool({
  name: "amp_reply",
  title: "Reply to a message",
  description:
    "Answer a message by its id: recipient, subject (Re: …) and in_reply_to are filled in. Reply first, then amp_ack the message. Returns the recipient that was used, the new message id and the provider's word.",
  input: z.strictObject({
    message_id: common.messageId,
    message: common.message,
    type: common.type.describe("Default response"),
    priority: common.priority.describe("Default: as the message answered"),
    context: common.context,
    idempotency_key: common.idempotencyKey,
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  async run(agent, { message_id, idempotency_key, ...answer }, { signal, person }) {
    const draft = await agent.draftReply(message_id, answer, signal);
    return sendWithCare(agent, draft, idempotency_key, person, signal);
  },
});
