import * as z from "zod";
import { sentAnswer } from "../sent-view.ts";
import { defineTool } from "../tool.ts";
import { context, message, messageId, priority, type } from "./parameters.ts";

export const ampReply = defineTool({
  name: "amp_reply",
  title: "Reply to a message",
  description:
    "Answer a message by its id: recipient, subject (Re: …) and in_reply_to are filled in. Reply first, then amp_ack the message. Returns the recipient that was used, the new message id and the provider's word.",
  input: z.strictObject({
    message_id: messageId,
    message,
    type: type.describe("Default response"),
    priority: priority.describe("Default: as the message answered"),
    context,
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  async run(agent, { message_id, ...answer }, signal) {
    return sentAnswer(await agent.reply(message_id, answer, signal));
  },
});
