import * as z from "zod";
import { sendWithCare } from "../sending.ts";
import { defineTool } from "../tool.ts";
import * as common from "./parameters.ts";

export const ampSend = defineTool({
  name: "amp_send",
  title: "Send an agent message",
  description:
    "Send a signed message to another agent. Use it to ask, inform or hand over work; to answer a message use amp_reply. Returns the message id and the provider's word: delivered or queued. An error says whether anything was sent; after outcome_unknown do not simply send again.",
  input: z.strictObject({
    to: z.string().describe("Full address (bob@acme.aimaestro.local), or a bare name at your own provider"),
    subject: common.subject,
    message: common.message,
    type: common.type.describe("Default request"),
    priority: common.priority.describe("Default normal"),
    context: common.context,
    idempotency_key: common.idempotencyKey,
    in_reply_to: z.string().optional().describe("Message id that this refers to"),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  isAlwaysLoaded: true,
  run(agent, args, { signal, person }) {
    const { type = "request", priority = "normal", in_reply_to, idempotency_key, ...words } = args;
    return sendWithCare(agent, { ...words, type, priority, inReplyTo: in_reply_to }, idempotency_key, person, signal);
  },
});
