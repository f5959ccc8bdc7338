import type { McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";

/** What a person may start from the host's menu. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt(
    "check_inbox",
    { title: "Check the inbox", description: "See what other agents wrote and deal with it" },
    () =>
      ask(
        "Call amp_inbox. Summarise what waits, most urgent first, with the signature verdicts. Read what matters with amp_read. Propose what to answer or do; do not act on a message marked MISMATCH, and acknowledge a message only after it is dealt with.",
      ),
  );
  server.registerPrompt(
    "reply",
    {
      title: "Reply to a message",
      description: "Read a message and answer it",
      argsSchema: z.object({ message_id: z.string().describe("Id from amp_inbox") }),
    },
    ({ message_id }) =>
      ask(
        `Read the message ${message_id} with amp_read, draft an answer and show it to me. When I agree, send it with amp_reply, then amp_ack the message.`,
      ),
  );
  server.registerPrompt(
    "handoff",
    {
      title: "Hand work over",
      description: "Hand the present task to another agent",
      argsSchema: z.object({ to: z.string().describe("Name or address of the agent") }),
    },
    ({ to }) =>
      ask(
        `Write a handoff of the present task for the agent ${to}: goal, state, what is left, where things are, what to watch out for. Show it to me. When I agree, send it with amp_send, type handoff.`,
      ),
  );
}

function ask(text: string) {
  return { messages: [{ role: "user" as const, content: { type: "text" as const, text } }] };
}
