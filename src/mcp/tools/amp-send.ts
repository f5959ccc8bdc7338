import * as z from "zod";
import { sentAnswer } from "../sent-view.ts";
import { defineTool } from "../tool.ts";
import { context, message, priority, subject, type } from "./parameters.ts";

export const ampSend = defineTool({
  name: "amp_send",
  title: "Send an agent message",
  description:
    "Send a signed message to another agent. Use it to ask, inform or hand over work; to answer a message use amp_reply. Returns the message id and the provider's word: delivered or queued. An error says whether anything was sent; after outcome_unknown do not simply send again.",
  input: z.strictObject({
    to: z.string().describe("Full address (bob@acme.aimaestro.local), or a bare name at your own provider"),
    subject,
    message,
    type: type.describe("Default request"),
    priority: priority.describe("Default normal"),
    context,
    in_reply_to: z.string().optional().describe("Message id that this refers to"),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  isAlwaysLoaded: true,
  async run(agent, args, signal) {
    const draft = {
      ...args,
      type: args.type ?? "request",
      priority: args.priority ?? "normal",
      inReplyTo: args.in_reply_to,
    };
    return sentAnswer(await agent.send(draft, signal));
  },
});
