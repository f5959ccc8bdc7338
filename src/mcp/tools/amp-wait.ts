import * as z from "zod";
import { waitForMail } from "../../agent/wait.ts";
import { WAIT_DEFAULT_SECONDS, WAIT_MAX_SECONDS } from "../../wire/limits.ts";
import { defineTool } from "../tool.ts";
import { waitText } from "../wait-view.ts";

export const ampWait = defineTool({
  name: "amp_wait",
  title: "Wait for a message",
  description:
    "Wait for mail, above all for the answer to what you just sent (in_reply_to: its id). Returns as soon as a fitting message waits, one that is there already included: an index as in amp_inbox, to be read with amp_read. Or says that nothing has come yet, which is no error. Changes nothing.",
  input: z.strictObject({
    timeout_seconds: z.int().min(1).max(WAIT_MAX_SECONDS).optional().describe(`Default ${WAIT_DEFAULT_SECONDS}`),
    from: z.string().min(1).optional().describe("Only this sender: name or address"),
    in_reply_to: z.string().min(1).optional().describe("Only answers to this message id"),
  }),
  annotations: { readOnlyHint: true, openWorldHint: false },
  async run(agent, args, { signal, progress }) {
    const { timeout_seconds: seconds = WAIT_DEFAULT_SECONDS, from, in_reply_to: inReplyTo } = args;
    const query = { from, inReplyTo };
    const onStep = (waited: number) => {
      progress(waited / 1000, seconds, "waiting for mail").catch((thrown: unknown) => agent.log(thrown));
    };
    const page = await waitForMail(agent, query, seconds * 1000, signal, onStep);
    return { text: waitText(page, query, seconds, Date.now()), shown: page.ids };
  },
});
