import * as z from "zod";
import { inboxPage } from "../../agent/inbox.ts";
import { INBOX_DEFAULT, INBOX_MAX } from "../../wire/limits.ts";
import { inboxText } from "../inbox-view.ts";
import { defineTool } from "../tool.ts";

export const ampInbox = defineTool({
  name: "amp_inbox",
  title: "List waiting messages",
  description:
    "List the messages from other agents that wait for you: an index without texts, most urgent first, then oldest. Call it at the start of a task, before finishing, and when told of new mail. Changes nothing; a message waits until amp_ack. Each line: id | sender | subject | kind | age | size | signature verdict.",
  input: z.strictObject({
    limit: z.int().min(1).max(INBOX_MAX).optional().describe(`Default ${INBOX_DEFAULT}`),
    cursor: z.string().optional().describe("From the previous page"),
    from: z.string().optional().describe("Only this sender: name or address"),
  }),
  annotations: { readOnlyHint: true, openWorldHint: false },
  isAlwaysLoaded: true,
  isAboutMail: true,
  async run(agent, args, { signal }) {
    const page = await inboxPage(agent, args, signal);
    const counted = page.waiting.messages.map(({ message }) => message.envelope.id);
    return { text: inboxText(page, Date.now()), shown: args.from === undefined ? counted : page.ids };
  },
});
